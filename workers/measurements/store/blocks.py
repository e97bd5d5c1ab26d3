"""Points as they came: a block for each minute of a transaction, its columns packed.

A point is 10 to 12 bytes so, and 52 as a row. A minute is read whole: by its roll-up, by the detectors, and
to tell which late points are there already.
"""

import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Column, Connection, DateTime, Index, LargeBinary, Table, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from workers.foundation import partitions
from workers.foundation.database import metadata
from workers.measurements.rules.samples import Row

#: Rows of points, or a mask of them.
Points = np.ndarray[Any, Any]
BLOCKS = "metric_blocks"
blocks = Table(
    BLOCKS,
    metadata,
    Column("minute", DateTime(timezone=True), nullable=False),
    Column("body", LargeBinary, nullable=False),
    postgresql_partition_by="RANGE (minute)",
)
Index("blocks_by_minute", blocks.c.minute)
#: In microseconds.
MINUTE = 60_000_000


def append(db: Connection, rows: Points) -> list[datetime]:
    """Write points; return the minutes they are of."""
    rows = rows[np.lexsort((rows["series"], rows["at"] // MINUTE))]
    cuts = np.flatnonzero(np.diff(rows["at"] // MINUTE)) + 1
    by_minute = {_minute(part): _packed(part) for part in np.split(rows, cuts) if len(part)}
    if by_minute:
        partitions.make(db, BLOCKS, sorted({minute.date() for minute in by_minute}))
        db.execute(blocks.insert(), [{"minute": minute, "body": body} for minute, body in by_minute.items()])
    return list(by_minute)


def newest(db: Connection) -> int:
    """Return a moment that no point is newer than, in microseconds; 0 when there is none."""
    query = text(
        "SELECT greatest((SELECT max(minute) + interval '1 minute' FROM metric_blocks), "
        "(SELECT max(at) FROM metric_points WHERE at > now() - interval '2 days'))"
    )
    at = db.execute(query).scalar_one()
    return int(at.timestamp() * 1_000_000) if at else 0


def read(db: Connection, minutes: Iterable[datetime]) -> Points:
    """Return the points of some minutes, those of one minute together, in no order."""
    wanted = sorted(set(minutes))
    if not wanted:
        return np.empty(0, Row)
    among = blocks.c.minute == any_(literal(wanted, ARRAY(DateTime(timezone=True))))
    query = select(blocks.c.minute, blocks.c.body).where(among).order_by(blocks.c.minute)
    parts = [_unpacked(row.minute, row.body) for row in db.execute(query)]
    return np.concatenate([*parts, _former(db, wanted)])


def _minute(rows: Points) -> datetime:
    return datetime.fromtimestamp(int(rows["at"][0]) // MINUTE * 60, UTC)


def _packed(rows: Points) -> bytes:
    # Small numbers, byte by byte in columns: their zeros cost nothing.
    small = rows.astype(Row)
    small["series"] = np.diff(rows["series"], prepend=0)
    small["at"] = rows["at"] % MINUTE
    return zlib.compress(small.view(np.uint8).reshape(-1, Row.itemsize).T.tobytes(), 1)


def _unpacked(minute: datetime, body: bytes) -> Points:
    columns = np.frombuffer(zlib.decompress(body), np.uint8).reshape(Row.itemsize, -1)
    rows: Points = columns.T.copy().view(Row).reshape(-1)
    rows["series"] = np.cumsum(rows["series"])
    rows["at"] += int(minute.timestamp()) * 1_000_000
    return rows


def _former(db: Connection, minutes: Sequence[datetime]) -> Points:
    """Return what the version before wrote of these minutes, a point a row; its table leaves."""
    query = text(
        "SELECT series, (extract(epoch FROM at) * 1000000)::bigint, value FROM metric_points "
        "JOIN unnest(cast(:minutes AS timestamptz[])) AS minute "
        "ON at >= minute AND at < minute + interval '1 minute'"
    )
    found = db.execute(query, {"minutes": list(minutes)})
    return np.array([tuple(row) for row in found], Row)
