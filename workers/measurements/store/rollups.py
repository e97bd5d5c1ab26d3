"""Minutes, hours and days of each series.

How many, sum, least, most, and a sketch from which any percentile is read. The sketch is Apache DataSketches'
t-digest: sketches of minutes merge into an hour's, hours' into a day's. A level is always made anew from the
one below, so rolling up twice changes nothing, and late points find their way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import numpy as np
from datasketches import tdigest_double
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Table,
    delete,
    select,
    text,
)

from workers.foundation import database, partitions
from workers.foundation.moments import MachineMoment
from workers.measurements.store.points import due, note_due, series

#: 100 centroids: the 99th percentile is off by well below one percent of the ranks.
COMPRESSION = 100
#: Level -> the one above, which follows from it.
ABOVE = {"minute": "hour", "hour": "day"}
SPANS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_COLUMNS = ("series", "at", "count", "sum", "least", "most", "sketch")


def _table(level: str) -> Table:
    return Table(
        f"metric_{level}s",
        database.metadata,
        Column("series", BigInteger, primary_key=True),
        Column("at", DateTime(timezone=True), primary_key=True),
        Column("count", Integer, nullable=False),
        Column("sum", Float, nullable=False),
        # To rename columns of so many rows would hold up all who write them.
        Column("least", Float, key="min", nullable=False),
        Column("most", Float, key="max", nullable=False),
        Column("sketch", LargeBinary, nullable=False),
        postgresql_partition_by="RANGE (at)",
    )


tables = {level: _table(level) for level in SPANS}


@dataclass(frozen=True)
class Summary:
    """A series over a span. Raises nothing: there is at least one point in it."""

    at: MachineMoment
    count: int
    sum: float
    min: float
    max: float
    sketch: bytes

    def quantile(self, q: float) -> float:
        """Return the q-quantile, q from 0 to 1."""
        return float(tdigest_double.deserialize(self.sketch).get_quantile(q))


def take_due(db: Connection, *, before: datetime, limit: int) -> list[tuple[str, datetime]]:
    """Take the (level, start) that changed and have ended, minutes first, the oldest first."""
    ended = text("start + CASE level WHEN 'minute' THEN interval '1 minute' WHEN 'hour' THEN interval '1 "
                 "hour' "
                "ELSE interval '1 day' END <= :before")  # fmt: skip
    order = text("CASE level WHEN 'minute' THEN 0 WHEN 'hour' THEN 1 ELSE 2 END, start")
    query = (
        select(due)
        .where(ended.bindparams(before=before))
        .order_by(order)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = [(row.level, row.start) for row in db.execute(query)]
    for level, start in rows:
        db.execute(delete(due).where(due.c.level == level, due.c.start == start))
    return rows


def roll_up(db: Connection, level: str, start: datetime) -> int:
    """Make a level's summaries of a span anew; return how many series there are in it."""
    end, name = start + SPANS[level], f"metric_{level}s"
    rows = list(_of_points(db, start, end) if level == "minute" else _of_below(db, level, start, end))
    partitions.make(db, name, [start.date()])
    db.execute(delete(tables[level]).where(tables[level].c.at == start))
    database.copy(db, name, _COLUMNS, rows)
    if rows and level in ABOVE:
        note_due(db, ABOVE[level], [_floor(start, ABOVE[level])])
    return len(rows)


def _floor(at: datetime, level: str) -> datetime:
    return at.replace(minute=0) if level == "hour" else datetime.combine(at.date(), time(), UTC)


def _of_points(db: Connection, start: datetime, end: datetime) -> Iterator[tuple[Any, ...]]:
    query = text("SELECT series, value FROM metric_points WHERE at >= :start AND at < :end")
    found = db.execute(query, {"start": start, "end": end}).all()
    if not found:
        return
    ids, values = np.array([row[0] for row in found]), np.array([row[1] for row in found])
    order = np.argsort(ids, kind="stable")
    ids, values = ids[order], values[order]
    cuts = np.flatnonzero(np.diff(ids)) + 1
    for own, part in zip(ids[np.concatenate([[0], cuts])].tolist(), np.split(values, cuts), strict=True):
        sketch = tdigest_double(COMPRESSION)
        sketch.update(part)
        yield (
            own,
            start,
            len(part),
            float(part.sum()),
            float(part.min()),
            float(part.max()),
            sketch.serialize(),
        )


def _of_below(db: Connection, level: str, start: datetime, end: datetime) -> Iterator[tuple[Any, ...]]:
    below = tables[next(name for name, above in ABOVE.items() if above == level)]
    query = select(below).where(below.c.at >= start, below.c.at < end).order_by(below.c.series)
    own: list[Any] = []
    for row in db.execute(query):
        if own and own[0].series != row.series:
            yield _merged(own, start)
            own = []
        own.append(row)
    if own:
        yield _merged(own, start)


def _merged(rows: list[Any], start: datetime) -> tuple[Any, ...]:
    sketch = tdigest_double(COMPRESSION)
    for row in rows:
        sketch.merge(tdigest_double.deserialize(bytes(row.sketch)))
    lowest, highest = min(row.min for row in rows), max(row.max for row in rows)
    count, total = sum(row.count for row in rows), sum(row.sum for row in rows)
    return rows[0].series, start, count, total, lowest, highest, sketch.serialize()


def history(db: Connection, text_of: str, level: str, start: datetime, end: datetime) -> list[Summary]:
    """Return a series' summaries in [start, end), the oldest first; `text_of` is its text."""
    table = tables[level]
    facts = [table.c[name] for name in Summary.__dataclass_fields__]
    query = select(*facts).join(series, series.c.id == table.c.series).where(series.c.text == text_of)
    return [
        Summary(*row)
        for row in db.execute(query.where(table.c.at >= start, table.c.at < end).order_by(table.c.at))
    ]


def known(db: Connection, name: str = "", *, limit: int = 1_000) -> list[str]:
    """Return the texts of the series of a name, or of all."""
    query = select(series.c.text).order_by(series.c.text).limit(limit)
    return list(db.execute(query.where(series.c.name == name) if name else query).scalars())
