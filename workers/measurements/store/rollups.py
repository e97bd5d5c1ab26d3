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
    ColumnElement,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    any_,
    case,
    delete,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from workers.foundation import database, partitions
from workers.foundation.moments import MachineMoment
from workers.foundation.rows import copy
from workers.measurements.store import sketches
from workers.measurements.store.points import due, note_due, series

#: Series that one transaction rolls up: some tenths of a second.
PAGES = {"minute": 10_000, "hour": 2_000, "day": 2_000}
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


#: What is worked on: a series whose id is `after` or below is done.
open_ = Table(
    "metric_rollups_open",
    database.metadata,
    Column("level", Text, primary_key=True),
    Column("start", DateTime(timezone=True), primary_key=True),
    Column("after", BigInteger, nullable=False, server_default="0"),
)


@dataclass(frozen=True)
class Span:
    """A span that is made anew: its level and start, and the series after which it goes on."""

    level: str
    start: datetime
    after: int


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


def take(db: Connection, *, before: datetime) -> Span | None:
    """Take the span to go on with, or the next that changed and has ended; None when there is none.

    Minutes first, the oldest first. Held by this transaction: two runs take different ones.
    """
    held = select(open_).order_by(*_order(open_)).limit(1).with_for_update(skip_locked=True)
    if row := db.execute(held).one_or_none():
        return Span(row.level, row.start, row.after)
    ended = text(
        "start + CASE level WHEN 'minute' THEN interval '1 minute' WHEN 'hour' THEN interval '1 hour' "
        "ELSE interval '1 day' END <= :before"
    )
    # Points that come while a span is worked on make it due again: it is made anew once it is done.
    worked_on = select(open_.c.start).where(open_.c.level == due.c.level, open_.c.start == due.c.start)
    ready = select(due).where(ended.bindparams(before=before), ~worked_on.exists())
    row = db.execute(ready.order_by(*_order(due)).limit(1).with_for_update(skip_locked=True)).one_or_none()
    if not row:
        return None
    db.execute(delete(due).where(due.c.level == row.level, due.c.start == row.start))
    db.execute(open_.insert().values(level=row.level, start=row.start))
    return Span(row.level, row.start, 0)


def _order(table: Table) -> tuple[ColumnElement[int], ColumnElement[datetime]]:
    return case((table.c.level == "minute", 0), (table.c.level == "hour", 1), else_=2), table.c.start


def roll_up(db: Connection, span: Span) -> bool:
    """Make a page of a span's summaries anew, and note how far it got; False when that was the last one."""
    ids = list(db.execute(_page(span)).scalars())
    if ids:
        if not span.after:
            partitions.make(db, f"metric_{span.level}s", [span.start.date()])
        table = tables[span.level]
        db.execute(delete(table).where(table.c.at == span.start, table.c.series == any_(_ids(ids))))
        rows = list(_of_points(db, span, ids) if span.level == "minute" else _of_below(db, span, ids))
        copy(db, f"metric_{span.level}s", _COLUMNS, rows)
    mine = (open_.c.level == span.level) & (open_.c.start == span.start)
    if len(ids) == PAGES[span.level]:
        db.execute(update(open_).where(mine).values(after=ids[-1]))
        return True
    db.execute(delete(open_).where(mine))
    if above := ABOVE.get(span.level):
        note_due(db, above, [_floor(span.start, above)])
    return False


def _page(span: Span) -> Select[int]:
    after = select(series.c.id).where(series.c.id > span.after)
    return after.order_by(series.c.id).limit(PAGES[span.level])


def _ids(ids: list[int]) -> Any:
    return literal(ids, ARRAY(BigInteger))


def _floor(at: datetime, level: str) -> datetime:
    return at.replace(minute=0) if level == "hour" else datetime.combine(at.date(), time(), UTC)


def _of_points(db: Connection, span: Span, ids: list[int]) -> Iterator[tuple[Any, ...]]:
    facts = {"start": span.start, "end": span.start + SPANS[span.level], "first": ids[0], "last": ids[-1]}
    for row in db.execute(_POINTS_OF, facts):
        values = np.array(row.points)
        total, lowest, highest = float(values.sum()), float(values.min()), float(values.max())
        yield row.series, span.start, len(values), total, lowest, highest, sketches.of_values(values)


_POINTS_OF = text(
    """
    SELECT series, array_agg(value) AS points FROM metric_points
    WHERE at >= :start AND at < :end AND series BETWEEN :first AND :last GROUP BY series
    """
)


def _of_below(db: Connection, span: Span, ids: list[int]) -> Iterator[tuple[Any, ...]]:
    below = tables[next(name for name, above in ABOVE.items() if above == span.level)]
    own, length = below.c.sketch, func.length(below.c.sketch)
    sums = func.sum(below.c.count), func.sum(below.c.sum), func.min(below.c.min), func.max(below.c.max)
    parts = (
        func.string_agg(own, aggregate_order_by(literal(b""), below.c.at)),
        func.array_agg(aggregate_order_by(length, below.c.at)),
    )
    during = (below.c.at >= span.start) & (below.c.at < span.start + SPANS[span.level])
    query = select(below.c.series, *sums, *parts).where(during, below.c.series == any_(_ids(ids)))
    for number, count, total, lowest, highest, whole, lengths in db.execute(query.group_by(below.c.series)):
        sketch = sketches.merged(bytes(whole), np.array(lengths))
        yield number, span.start, int(count), float(total), lowest, highest, sketch


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
