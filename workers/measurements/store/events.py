"""Good and bad events of each objective: by region for the month's budgets, by wedding for its own."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    Index,
    Integer,
    Table,
    Text,
    any_,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from workers.foundation import database, partitions
from workers.foundation.moments import MachineMoment
from workers.foundation.rows import plain
from workers.measurements.rules.objectives import OBJECTIVES, Counts, Window

REGIONS, WEDDINGS = "slo_events", "wedding_slo_events"

regions = Table(
    REGIONS,
    database.metadata,
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("objective", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("total", Integer, nullable=False),
    Column("bad", Integer, nullable=False),
    postgresql_partition_by="RANGE (at)",
)
weddings = Table(
    WEDDINGS,
    database.metadata,
    Column("objective", Text, nullable=False),
    Column("wedding_id", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("total", Integer, nullable=False),
    Column("bad", Integer, nullable=False),
    postgresql_partition_by="RANGE (at)",
)
Index("bad_events_by_time", weddings.c.at, postgresql_where=weddings.c.bad > 0)
Index("slo_events_by_wedding", weddings.c.wedding_id, weddings.c.at)
#: An hour's sums: what is asked of days must not read seconds; kept when the events are dropped.
hours = Table(
    "slo_hours",
    database.metadata,
    Column("objective", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("bad", BigInteger, nullable=False),
)
performance = Table(
    "wedding_performance_metrics",
    database.metadata,
    Column("wedding_id", Text, primary_key=True),
    Column("objective", Text, primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("bad", BigInteger, nullable=False),
    Column("budget_left", Float, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    info=database.expires("at"),
)


def add_regions(db: Connection, found: Iterable[tuple[Any, ...]]) -> None:
    """Add (objective, region, start of ten seconds in microseconds, events, bad ones) to what is counted."""
    names = ("objective", "region", "at", "total", "bad")
    rows: list[dict[str, Any]] = [
        dict(zip(names, (objective, region, datetime.fromtimestamp(at / 1e6, UTC), total, bad), strict=True))
        for objective, region, at, total, bad in found
    ]
    if rows:
        partitions.make(db, REGIONS, sorted({row["at"].date() for row in rows}))
    # A statement has 65,535 parameters at most.
    for first in range(0, len(rows), 5_000):
        statement = insert(regions).values(rows[first : first + 5_000])
        more = {name: regions.c[name] + statement.excluded[name] for name in ("total", "bad")}
        db.execute(statement.on_conflict_do_update(index_elements=["at", "objective", "region"], set_=more))


def lately_bad(db: Connection, within: timedelta) -> dict[tuple[str, str], datetime]:
    """Return the (objective, wedding) with bad events within so long of the last of all, and their last."""
    scope = (weddings.c.objective, weddings.c.wedding_id)
    newest = select(func.max(weddings.c.at)).where(weddings.c.bad > 0).scalar_subquery()
    query = select(*scope, func.max(weddings.c.at)).where(
        weddings.c.bad > 0, weddings.c.at >= newest - within
    )
    return {(row[0], row[1]): row[2] for row in db.execute(query.group_by(*scope))}


@dataclass(frozen=True)
class Tally:
    """What an objective counted for somebody (a region, or a wedding) over a window."""

    objective: str
    scope: str
    counts: Counts


def of_regions(db: Connection, window: Window, *, now: MachineMoment) -> list[Tally]:
    """Return each region's counts over a window; of a span of hours those of whole hours from their sums."""
    since = {span: now - span for span in (window.long, window.short)}
    whole = _hour(now) - timedelta(hours=1)
    long = (
        _summed(db, since[window.long], whole, now)
        if window.long > timedelta(hours=2)
        else _seen(db, since[window.long], now)
    )
    short = (
        _summed(db, since[window.short], whole, now)
        if window.short > timedelta(hours=2)
        else _seen(db, since[window.short], now)
    )
    return [Tally(*scope, Counts(*counts, *short.get(scope, (0, 0)))) for scope, counts in long.items()]


Counted = dict[tuple[str, str], tuple[int, int]]


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _seen(db: Connection, since: datetime, now: MachineMoment) -> Counted:
    facts = (regions.c.objective, regions.c.region)
    query = select(*facts, func.sum(regions.c.total), func.sum(regions.c.bad)).where(
        regions.c.at >= since, regions.c.at <= now
    )
    return {(row[0], row[1]): (int(row[2]), int(row[3])) for row in db.execute(query.group_by(*facts))}


def _summed(db: Connection, since: datetime, whole: datetime, now: MachineMoment) -> Counted:
    """Return counts from the sums of the hours before `whole`, and from the events after it."""
    facts = (hours.c.objective, hours.c.region)
    query = select(*facts, func.sum(hours.c.total), func.sum(hours.c.bad)).where(
        hours.c.at >= since, hours.c.at < whole
    )
    found = {(row[0], row[1]): (int(row[2]), int(row[3])) for row in db.execute(query.group_by(*facts))}
    for scope, (total, bad) in _seen(db, whole, now).items():
        known = found.get(scope, (0, 0))
        found[scope] = (known[0] + total, known[1] + bad)
    return found


def of_weddings(
    db: Connection, window: Window, *, now: MachineMoment, ids: Iterable[str], bad_min: int
) -> list[Tally]:
    """Return the counts of those of some weddings that had bad events: what is healthy is not looked at."""
    query = select(weddings.c.objective, weddings.c.wedding_id).group_by(
        weddings.c.objective, weddings.c.wedding_id
    )
    hurt = query.where(weddings.c.bad > 0, weddings.c.at >= now - window.long).having(
        func.sum(weddings.c.bad) >= bad_min
    )
    asked = weddings.c.wedding_id == any_(literal([*ids], ARRAY(Text)))
    found = {(row[0], row[1]) for row in db.execute(hurt.where(asked))}
    if not found:
        return []
    recent = weddings.c.at >= now - window.short
    sums = (func.sum(weddings.c.total), func.sum(weddings.c.bad))
    short = [func.coalesce(each.filter(recent), 0) for each in sums]
    scope = (weddings.c.objective, weddings.c.wedding_id)
    span = (weddings.c.at >= now - window.long) & (weddings.c.at <= now)
    # By the weddings alone: to look for pairs in a list takes the square of how many there are.
    among = weddings.c.wedding_id == any_(literal(sorted({one[1] for one in found}), ARRAY(Text)))
    rows = db.execute(select(*scope, *sums, *short).where(span, among).group_by(*scope))
    return [Tally(row[0], row[1], Counts(*map(int, row[2:]))) for row in rows if (row[0], row[1]) in found]


def measured(db: Connection, ids: Iterable[str], *, since: datetime) -> set[tuple[str, str]]:
    """Return the (objective, wedding) of these weddings of which something was measured since a moment."""
    scope = (weddings.c.objective, weddings.c.wedding_id)
    query = (
        select(*scope)
        .distinct()
        .where(weddings.c.wedding_id == any_(literal([*ids], ARRAY(Text))), weddings.c.at >= since)
    )
    return {(row[0], row[1]) for row in db.execute(query)}


def month(db: Connection, *, now: MachineMoment) -> list[Tally]:
    """Return each region's counts over the last 30 days; both spans are the same."""
    found = _summed(db, now - timedelta(days=30), _hour(now) - timedelta(hours=1), now)
    return [Tally(*scope, Counts(*counts, *counts)) for scope, counts in found.items()]


def sum_hours(db: Connection, *, since: datetime) -> None:
    """Write the sums of the hours since a moment, again where events came late.

    Those of more than 35 days go.
    """
    statement = """
        INSERT INTO slo_hours (objective, region, at, total, bad)
        SELECT objective, region, date_trunc('hour', at), sum(total), sum(bad) FROM slo_events
        WHERE at >= :since GROUP BY 1, 2, 3
        ON CONFLICT (objective, region, at) DO UPDATE SET total = excluded.total, bad = excluded.bad
    """
    db.execute(text(statement), {"since": _hour(since)})
    db.execute(hours.delete().where(hours.c.at < since - timedelta(days=35)))


def sum_weddings(db: Connection, *, since: datetime, at: MachineMoment) -> None:
    """Write each wedding's budgets over its own hours, for those with events since a moment."""
    budgets = {one.name: 1.0 - one.target for one in OBJECTIVES}
    statement = """
        INSERT INTO wedding_performance_metrics (wedding_id, objective, total, bad, budget_left, at)
        SELECT wedding_id, objective, sum(total), sum(bad),
            1 - sum(bad)::float8 / sum(total) / (cast(:budgets AS jsonb) ->> objective)::float8, :at
        FROM wedding_slo_events WHERE at >= :since GROUP BY 1, 2
        ON CONFLICT (wedding_id, objective) DO UPDATE
        SET total = excluded.total, bad = excluded.bad, budget_left = excluded.budget_left, at = excluded.at
        WHERE excluded.total >= wedding_performance_metrics.total
    """
    db.execute(text(statement), {"since": since, "at": at, "budgets": orjson.dumps(budgets).decode()})


def of_wedding(db: Connection, wedding_id: str) -> list[dict[str, Any]]:
    """Return what became of a wedding's budgets over its own hours, by objective."""
    own = performance.c.wedding_id == wedding_id
    return plain(db.execute(select(performance).where(own).order_by(performance.c.objective)))


def overspent(db: Connection, ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the objectives whose budget weddings have used up, by wedding."""
    among = performance.c.wedding_id == any_(literal(list(ids), ARRAY(Text)))
    query = select(performance.c.wedding_id, performance.c.objective).where(
        among, performance.c.budget_left < 0
    )
    found: dict[str, list[str]] = {}
    for wedding_id, objective in db.execute(query.order_by(performance.c.objective)):
        found.setdefault(wedding_id, []).append(objective)
    return found
