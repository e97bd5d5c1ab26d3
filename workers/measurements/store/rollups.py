"""Minutes, hours and days of each series.

How many, sum, least, most, and a sketch from which any percentile is read. The sketch is Apache DataSketches'
t-digest: those of hours merge into a day's. A minute keeps its values (pages.py). A level is always made anew
from the one below, so rolling up twice changes nothing, and late points find their way.
"""

from collections.abc import Iterable, Iterator
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
from workers.measurements.store import blocks, pages, sketches
from workers.measurements.store.points import due, note_due, note_heard, series

#: What one transaction rolls up, which takes some tenths of a second: pages of series of an hour, series of a
#: day. A minute is one.
PAGES, DAYS_SERIES = 4, 2_000
#: Level -> the one above, which follows from it.
ABOVE = {"minute": "hour", "hour": "day"}
SPANS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_COLUMNS = ("series", "at", "count", "sum", "least", "most", "sketch")
_TYPES = ("int8", "timestamptz", "int4", "float8", "float8", "float8", "bytea")


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


tables = {level: _table(level) for level in ("hour", "day")}


#: What is worked on: what has the number `after` or less is done: pages of an hour, series of a day.
open_ = Table(
    "metric_rollups_open",
    database.metadata,
    Column("level", Text, primary_key=True),
    Column("start", DateTime(timezone=True), primary_key=True),
    Column("after", BigInteger, nullable=False, server_default="0"),
)


@dataclass(frozen=True)
class Span:
    """A span that is made anew: its level and start, and after which page or series it goes on."""

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

    Minutes first, the newest first: a backlog keeps nobody from seeing what is now. Held by this transaction:
    two runs take different ones.
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
    return case((table.c.level == "minute", 0), (table.c.level == "hour", 1), else_=2), table.c.start.desc()


def roll_up(db: Connection, span: Span) -> bool:
    """Make a page of a span's summaries anew, and note how far it got; False when that was the last one."""
    last = {"minute": _minute, "hour": _hours_page, "day": _days_page}[span.level](db, span)
    mine = (open_.c.level == span.level) & (open_.c.start == span.start)
    if last is not None:
        db.execute(update(open_).where(mine).values(after=last))
        return True
    db.execute(delete(open_).where(mine))
    if above := ABOVE.get(span.level):
        note_due(db, above, [_floor(span.start, above)])
    return False


def _minute(db: Connection, span: Span) -> None:
    pages.write(db, span.start, blocks.read(db, [span.start]))


def _hours_page(db: Connection, span: Span) -> int | None:
    """Sum up some pages of an hour; return the last one's number when there may be more."""
    during = span.start, span.start + SPANS["hour"]
    numbers = pages.numbers(db, *during, after=span.after, limit=PAGES)
    if numbers:
        found = pages.read(db, *during, among=numbers)
        _replace(db, span, found.series.tolist(), _of_values(span.start, found))
    return numbers[-1] if len(numbers) == PAGES else None


def _days_page(db: Connection, span: Span) -> int | None:
    """Sum up some series of a day; return the last one's id when there may be more."""
    hours = tables["hour"]
    during = (hours.c.at >= span.start) & (hours.c.at < span.start + SPANS["day"])
    after = select(hours.c.series).distinct().where(during, hours.c.series > span.after)
    ids = list(db.execute(after.order_by(hours.c.series).limit(DAYS_SERIES)).scalars())
    if ids:
        _replace(db, span, ids, _of_hours(db, span, ids))
        note_heard(db, ids)
    return ids[-1] if len(ids) == DAYS_SERIES else None


def _replace(db: Connection, span: Span, ids: list[int], rows: Iterable[tuple[Any, ...]]) -> None:
    table = tables[span.level]
    partitions.make(db, table.name, [span.start.date()])
    db.execute(delete(table).where(table.c.at == span.start, table.c.series == any_(_ids(ids))))
    copy(db, table.name, _COLUMNS, list(rows), types=_TYPES)


def _ids(ids: list[int]) -> Any:
    return literal(ids, ARRAY(BigInteger))


def _floor(at: datetime, level: str) -> datetime:
    return at.replace(minute=0) if level == "hour" else datetime.combine(at.date(), time(), UTC)


def _of_values(start: datetime, found: pages.Values) -> Iterator[tuple[Any, ...]]:
    ends = np.cumsum(found.counts).tolist()
    begins = [0, *ends[:-1]]
    for series_id, first, end in zip(found.series.tolist(), begins, ends, strict=True):
        one = _summary(start, found.values[first:end])
        yield series_id, start, one.count, one.sum, one.min, one.max, one.sketch


def _summary(at: datetime, values: sketches.Array) -> Summary:
    lowest, highest = float(values.min()), float(values.max())
    return Summary(
        MachineMoment(at), len(values), float(values.sum()), lowest, highest, sketches.of_values(values)
    )


def _of_hours(db: Connection, span: Span, ids: list[int]) -> Iterator[tuple[Any, ...]]:
    below = tables["hour"]
    own, length = below.c.sketch, func.length(below.c.sketch)
    sums = func.sum(below.c.count), func.sum(below.c.sum), func.min(below.c.min), func.max(below.c.max)
    parts = (
        func.string_agg(own, aggregate_order_by(literal(b""), below.c.at)),
        func.array_agg(aggregate_order_by(length, below.c.at)),
    )
    during = (below.c.at >= span.start) & (below.c.at < span.start + SPANS["day"])
    query = select(below.c.series, *sums, *parts).where(during, below.c.series == any_(_ids(ids)))
    for number, count, total, lowest, highest, whole, lengths in db.execute(query.group_by(below.c.series)):
        sketch = sketches.merged(bytes(whole), np.array(lengths))
        yield number, span.start, int(count), float(total), lowest, highest, sketch


def history(db: Connection, text_of: str, level: str, start: datetime, end: datetime) -> list[Summary]:
    """Return a series' summaries in [start, end), the oldest first; `text_of` is its text."""
    if level == "minute":
        return _minutes(db, text_of, start, end)
    table = tables[level]
    facts = [table.c[name] for name in Summary.__dataclass_fields__]
    query = select(*facts).join(series, series.c.id == table.c.series).where(series.c.text == text_of)
    return [
        Summary(*row)
        for row in db.execute(query.where(table.c.at >= start, table.c.at < end).order_by(table.c.at))
    ]


def _minutes(db: Connection, text_of: str, start: datetime, end: datetime) -> list[Summary]:
    own = db.execute(select(series.c.id).where(series.c.text == text_of)).scalar_one_or_none()
    if own is None:
        return []
    # What the version before rolled up, a series and minute a row; its table leaves.
    former = db.execute(_FORMER, {"series": own, "start": start, "end": end})
    found = {row.at: Summary(*row) for row in former}
    found |= {at: _summary(at, values) for at, values in pages.of_series(db, own, start, end)}
    return [found[at] for at in sorted(found)]


_FORMER = text(
    "SELECT at, count, sum, least, most, sketch FROM metric_minutes "
    "WHERE series = :series AND at >= :start AND at < :end"
)


def known(db: Connection, name: str = "", *, limit: int = 1_000) -> list[str]:
    """Return the texts of the series of a name, or of all."""
    query = select(series.c.text).order_by(series.c.text).limit(limit)
    return list(db.execute(query.where(series.c.name == name) if name else query).scalars())
