"""Minutes: what each series measured in one, a page of series a row, packed.

A minute of a series is a few values, which are kept as they are: less than a sketch of them. So a series is
read without the others, and an hour is rolled up page by page.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    delete,
    select,
)

from workers.foundation import partitions
from workers.foundation.database import metadata
from workers.measurements.store.blocks import Points
from workers.measurements.store.sketches import Array

PAGES = "metric_minute_pages"
#: Series of a page.
WIDTH = 512
pages = Table(
    PAGES,
    metadata,
    Column("page", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    postgresql_partition_by="RANGE (at)",
)
Index("minute_pages_by_time", pages.c.at)


@dataclass(frozen=True)
class Values:
    """What was measured: the series, in order, how many values each has, and the values one after another."""

    series: Array
    counts: Array
    values: Array


def page_of(series: Array) -> Array:
    """Return the page that each series is on; the first is 1."""
    return series // WIDTH + 1


def grouped(series: Array, values: Array) -> Values:
    """Return values by series."""
    order = np.argsort(series, kind="stable")
    own, counts = np.unique(series[order], return_counts=True)
    return Values(own, counts, values[order])


def write(db: Connection, minute: datetime, rows: Points) -> None:
    """Make a minute anew of all its points."""
    partitions.make(db, PAGES, [minute.date()])
    db.execute(delete(pages).where(pages.c.at == minute))
    found = grouped(rows["series"], rows["value"])
    starts = np.concatenate(([0], np.cumsum(found.counts)))
    cuts = [0, *(np.flatnonzero(np.diff(page_of(found.series))) + 1).tolist(), len(found.series)]
    made = []
    for first, end in pairwise(cuts):
        if end > first:
            own = found.series[first:end]
            body = _packed(own, found.counts[first:end], found.values[starts[first] : starts[end]])
            made.append({"page": int(page_of(own)[0]), "at": minute, "body": body})
    if made:
        db.execute(pages.insert(), made)


def numbers(db: Connection, start: datetime, end: datetime, *, after: int, limit: int) -> list[int]:
    """Return the next pages that have values in [start, end), by number."""
    found = select(pages.c.page).distinct().where(_during(start, end), pages.c.page > after)
    return list(db.execute(found.order_by(pages.c.page).limit(limit)).scalars())


def read(db: Connection, start: datetime, end: datetime, *, among: Sequence[int]) -> Values:
    """Return what was measured in [start, end) of the series of some pages."""
    rows = db.execute(select(pages.c.page, pages.c.body).where(_during(start, end), pages.c.page.in_(among)))
    parts = [_unpacked(row.page, row.body) for row in rows]
    if not parts:
        return Values(np.empty(0, "<i8"), np.empty(0, "<i8"), np.empty(0, "<f8"))
    series = np.concatenate([np.repeat(one.series, one.counts) for one in parts])
    return grouped(series, np.concatenate([one.values for one in parts]))


def of_series(
    db: Connection, series: int, start: datetime, end: datetime
) -> Iterable[tuple[datetime, Array]]:
    """Return (minute, values) of a series in [start, end), the oldest first."""
    query = select(pages.c.at, pages.c.page, pages.c.body).where(
        _during(start, end), pages.c.page == series // WIDTH + 1
    )
    for row in db.execute(query.order_by(pages.c.at)):
        one = _unpacked(row.page, row.body)
        place = int(np.searchsorted(one.series, series))
        if place < len(one.series) and one.series[place] == series:
            first = int(one.counts[:place].sum())
            yield row.at, one.values[first : first + int(one.counts[place])]


def _during(start: datetime, end: datetime) -> ColumnElement[bool]:
    return (pages.c.at >= start) & (pages.c.at < end)


def _packed(series: Array, counts: Array, values: Array) -> bytes:
    head = np.array([len(series)], "<u4").tobytes()
    places = (series % WIDTH).astype("<u2").tobytes()
    # Byte by byte in columns: what values have in common stands together.
    columns = np.ascontiguousarray(values, "<f8").view(np.uint8).reshape(-1, 8).T.tobytes()
    return zlib.compress(head + places + counts.astype("<u4").tobytes() + columns, 1)


def _unpacked(page: int, body: bytes) -> Values:
    raw = zlib.decompress(body)
    count = int(np.frombuffer(raw, "<u4", 1)[0])
    places = np.frombuffer(raw, "<u2", count, 4)
    counts = np.frombuffer(raw, "<u4", count, 4 + 2 * count)
    columns = np.frombuffer(raw, np.uint8, offset=4 + 6 * count).reshape(8, -1)
    values = columns.T.copy().view("<f8").reshape(-1)
    return Values(places.astype("<i8") + (page - 1) * WIDTH, counts.astype("<i8"), values)
