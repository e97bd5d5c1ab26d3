"""Good and bad events of each objective: by region for the month's budgets, by wedding for its own."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
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
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from workers.foundation import database
from workers.metrics.rules.objectives import BY_SERIES, OBJECTIVES, Counts, Window, judge
from workers.metrics.rules.samples import parts
from workers.metrics.store import partitions

REGIONS, WEDDINGS = "slo_events", "wedding_slo_events"
#: Ten seconds: an outage must show within a minute.
GRAIN = 10_000_000

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
#: A day's sums, kept when its events are dropped.
days = Table(
    "slo_days",
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
)


def count(db: Connection, texts: Mapping[int, str], rows: "np.ndarray[Any, Any]") -> None:
    """Count new points of objectives' series, in the transaction that writes them; `texts` has the series' by id."""
    if not len(rows):
        return
    rows = rows[np.lexsort((rows["at"], rows["series"]))]
    ours = {own: BY_SERIES[parts(texts[own])[0]] for own in np.unique(rows["series"]).tolist()}
    by_region: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    by_wedding: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    ends = np.searchsorted(rows["series"], list(ours), side="right")
    starts = np.searchsorted(rows["series"], list(ours), side="left")
    for (own, number), first, end in zip(ours.items(), starts.tolist(), ends.tolist(), strict=True):
        labels = parts(texts[own])[1]
        failed, region, wedding = labels.get("outcome") == "failed", labels.get("region", ""), labels.get("wedding_id")
        for at, total, bad in _by_time(rows[first:end], number, failed):
            _add(by_region[OBJECTIVES[number].name, region, at], total, bad)
            if wedding:
                _add(by_wedding[OBJECTIVES[number].name, wedding, at], total, bad)
    _add_regions(db, by_region)
    _append_weddings(db, by_wedding)


def _by_time(rows: "np.ndarray[Any, Any]", number: int, failed: bool) -> Iterable[tuple[datetime, int, int]]:
    grains = rows["at"] // GRAIN
    cuts = np.flatnonzero(np.diff(grains)) + 1
    for part in np.split(rows, cuts):
        start = datetime.fromtimestamp(int(part["at"][0]) // GRAIN * GRAIN / 1e6, UTC)
        yield start, *judge(OBJECTIVES[number], part["value"], failed)


def _add(counts: list[int], total: int, bad: int) -> None:
    counts[0] += total
    counts[1] += bad


def _add_regions(db: Connection, found: Mapping[tuple[Any, ...], list[int]]) -> None:
    if found:
        partitions.make(db, REGIONS, sorted({at.date() for _, _, at in found}))
        names = ("objective", "region", "at", "total", "bad")
        statement = insert(regions).values([dict(zip(names, (*key, *counts), strict=True)) for key, counts in found.items()])
        more = {name: regions.c[name] + statement.excluded[name] for name in ("total", "bad")}
        db.execute(statement.on_conflict_do_update(index_elements=["at", "objective", "region"], set_=more))


def _append_weddings(db: Connection, found: Mapping[tuple[Any, ...], list[int]]) -> None:
    if found:
        partitions.make(db, WEDDINGS, sorted({at.date() for _, _, at in found}))
        rows = ([*key, *counts] for key, counts in found.items())
        database.copy(db, WEDDINGS, ("objective", "wedding_id", "at", "total", "bad"), rows)


@dataclass(frozen=True)
class Standing:
    """What an objective counted for somebody (a region, or a wedding) over a window."""

    objective: str
    who: str
    counts: Counts


def of_regions(db: Connection, window: Window, *, now: datetime) -> list[Standing]:
    """Return each region's counts over a window, those of older days from their sums."""
    return _counts(db, regions, regions.c.region, window, now)


def of_weddings(db: Connection, window: Window, *, now: datetime, ids: Iterable[str], bad_least: int) -> list[Standing]:
    """Return the counts of those of some weddings that had bad events: what is healthy is not looked at."""
    asked = select(weddings.c.objective, weddings.c.wedding_id).group_by(weddings.c.objective, weddings.c.wedding_id)
    hurt = asked.where(weddings.c.bad > 0, weddings.c.at >= now - window.long).having(func.sum(weddings.c.bad) >= bad_least)
    found = [tuple(row) for row in db.execute(hurt.where(weddings.c.wedding_id == any_(literal([*ids], ARRAY(Text)))))]
    if not found:
        return []
    return _counts(
        db, weddings, weddings.c.wedding_id, window, now, tuple_(weddings.c.objective, weddings.c.wedding_id).in_(found)
    )


def _counts(db: Connection, table: Table, who: Any, window: Window, now: datetime, *more: Any) -> list[Standing]:
    recent = table.c.at >= now - window.short
    sums = (func.sum(table.c.total), func.sum(table.c.bad))
    short = [func.coalesce(each.filter(recent), 0) for each in sums]
    asked = select(table.c.objective, who, *sums, *short).where(table.c.at >= now - window.long, table.c.at <= now, *more)
    rows = db.execute(asked.group_by(table.c.objective, who))
    return [Standing(row[0], row[1], Counts(*map(int, row[2:]))) for row in rows]


def month(db: Connection, *, now: datetime) -> list[Standing]:
    """Return each region's counts over the last 30 days; both spans are the same."""
    since = now - timedelta(days=30)
    known = select(days.c.objective, days.c.region, days.c.total, days.c.bad).where(days.c.at >= since)
    summed = select(func.max(days.c.at) + timedelta(days=1)).scalar_subquery()
    today = select(regions.c.objective, regions.c.region, regions.c.total, regions.c.bad)
    every = known.union_all(today.where(regions.c.at >= func.coalesce(summed, since))).subquery()
    sums = func.sum(every.c.total), func.sum(every.c.bad)
    rows = db.execute(select(every.c.objective, every.c.region, *sums).group_by(every.c.objective, every.c.region))
    return [Standing(row[0], row[1], Counts(int(row[2]), int(row[3]), int(row[2]), int(row[3]))) for row in rows]


def sum_day(db: Connection, day: datetime) -> None:
    """Write a day's sums by region; again, if its events grew."""
    statement = """
        INSERT INTO slo_days (objective, region, at, total, bad)
        SELECT objective, region, :day, sum(total), sum(bad) FROM slo_events WHERE at >= :day AND at < :end GROUP BY 1, 2
        ON CONFLICT (objective, region, at) DO UPDATE SET total = excluded.total, bad = excluded.bad
    """
    db.execute(text(statement), {"day": day, "end": day + timedelta(days=1)})


def sum_weddings(db: Connection, *, since: datetime, at: datetime) -> None:
    """Write what became of each wedding's budgets, for those with events since a moment."""
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
