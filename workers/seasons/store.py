"""What season each region is in, since when and why; and the kind of day that beat follows."""

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    DateTime,
    Float,
    Identity,
    Table,
    Text,
    UniqueConstraint,
    select,
)
from sqlalchemy.dialects.postgresql import distinct_on, insert

from workers.foundation import redis
from workers.foundation.database import metadata
from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once
from workers.seasons.keys import KIND_OF_DAY
from workers.seasons.rules.season import Decision, KindOfDay, Reason, Season

seasons = Table(
    "season_changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("region", Text, nullable=False),
    Column("season", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("index", Float, nullable=False),
    # One change may follow a given one: a detection that runs twice is a no-op.
    Column("expected_previous_id", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("region", "expected_previous_id"),
)


#: What each day's highest load was, written by who measures.
loads = Table(
    "season_loads",
    metadata,
    Column("region", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("load", Float, nullable=False),
)


def note_loads(db: Connection, seen: Mapping[str, float], *, day: date) -> None:
    """Remember the highest load of each region on a day."""
    rows = [{"region": region, "day": day, "load": load} for region, load in seen.items()]
    if rows:
        statement = insert(loads).values(rows)
        new = {"load": statement.excluded.load}
        db.execute(statement.on_conflict_do_update(index_elements=["region", "day"], set_=new))


def observed(db: Connection, *, since: date) -> dict[str, list[tuple[date, float]]]:
    """Return the loads by day of each region since a day."""
    found: dict[str, list[tuple[date, float]]] = {}
    for row in db.execute(select(loads).where(loads.c.day >= since).order_by(loads.c.day)):
        found.setdefault(row.region, []).append((row.day, row.load))
    return found


def current(db: Connection) -> dict[str, Season]:
    """Return the season of each region that has one."""
    return {region: season for region, (_, season) in _latest(db).items()}


def changes(db: Connection, region: str) -> list[tuple[datetime, Season]]:
    """Return when a region came into which season, the first first."""
    rows = db.execute(
        select(seasons.c.at, seasons.c.season).where(seasons.c.region == region).order_by(seasons.c.id)
    )
    return [(row.at, Season(row.season)) for row in rows]


def _latest(db: Connection) -> dict[str, tuple[int, Season]]:
    rows = db.execute(
        select(seasons.c.region, seasons.c.id, seasons.c.season)
        .ext(distinct_on(seasons.c.region))
        .order_by(seasons.c.region, seasons.c.id.desc())
    )
    return {row.region: (row.id, Season(row.season)) for row in rows}


def record(db: Connection, decisions: dict[str, Decision], *, at: Moment) -> dict[str, Season]:
    """Remember the seasons that changed, and return them."""
    latest, changed = _latest(db), {}
    for region, decision in sorted(decisions.items()):
        expected_previous_id, season = latest.get(region, (0, None))
        if season is decision.season:
            continue
        row = {"region": region, "expected_previous_id": expected_previous_id, "at": at, **vars(decision)}
        if insert_once(db, seasons, [row]):
            changed[region] = decision.season
    return changed


def publish_day(kind: KindOfDay, reason: Reason) -> KindOfDay | None:
    """Tell beat the kind of day; return the one before when it changed."""
    before = KindOfDay(redis.registry().hget(KIND_OF_DAY, "kind") or KindOfDay.ORDINARY)
    if before is kind:
        return None
    redis.registry().hset(KIND_OF_DAY, mapping={"kind": kind, "reason": reason})
    return before


def keep_pace(until: datetime | None) -> None:
    """Have every job keep the pace of a wedding day until a moment, whatever day it is; None: no longer."""
    redis.registry().hset(KIND_OF_DAY, "paced_until", until.isoformat() if until else "")


def kind_of_day(now: Moment) -> KindOfDay:
    """Return the kind of day that was published last, ordinary when none was.

    A wedding day while its pace is to be kept.
    """
    kind, until = redis.registry().hmget(KIND_OF_DAY, "kind", "paced_until")
    if until and now < datetime.fromisoformat(until):
        return KindOfDay.WEDDING_DAY
    return KindOfDay(kind or KindOfDay.ORDINARY)
