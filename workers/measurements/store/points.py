"""Points on their way: checked samples wait in a stream in Redis for the writer.

The tables that they come into.
"""

from collections.abc import Iterable
from datetime import date, datetime

import orjson
from sqlalchemy import BigInteger, Column, Connection, DateTime, Float, Identity, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, insert

from workers.foundation import partitions, redis
from workers.foundation.database import metadata
from workers.foundation.errors import ExpectedError
from workers.measurements import keys
from workers.measurements.keys import STREAM
from workers.measurements.rules.samples import Batch

POINTS = "metric_points"

series = Table(
    "metric_series",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("text", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, index=True),
    Column("labels", JSONB, nullable=False),
)
points = Table(
    POINTS,
    metadata,
    Column("series", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("value", Float, nullable=False),
    postgresql_partition_by="RANGE (at)",
)
# A btree would cost two thirds of the speed, this one an eighth, and a minute is found as fast:
# docs/decisions/0012-metrics.md.
Index("points_by_time", points.c.at, postgresql_using="brin", postgresql_with={"pages_per_range": 32})
#: How far the stream is written, and by whom last.
positions = Table(
    "metric_positions",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("position", Text, nullable=False),
    Column("writer", Text, nullable=False),
)
#: Minutes, hours and days whose points changed since they were rolled up.
due = Table(
    "metric_rollups_due",
    metadata,
    Column("level", Text, primary_key=True),
    Column("start", DateTime(timezone=True), primary_key=True),
)


class BufferFull(ExpectedError):
    """{waiting} bytes wait to be written: is the process `ingest` running, does PostgreSQL answer? Push again
    in a minute"""


def buffered() -> int:
    """Return how many bytes wait in the stream."""
    return int(redis.undecoded().memory_usage(STREAM, samples=20) or 0)


def buffer(batch: Batch, *, limit: int) -> None:
    """Append a batch to the stream.

    Raises BufferFull when more than `limit` bytes wait: the database is too far behind.
    """
    if not len(batch.rows):
        return
    client = redis.undecoded()
    if (waiting := buffered()) >= limit:
        raise BufferFull(waiting=waiting)
    client.xadd(STREAM, {"s": orjson.dumps(batch.series), "r": batch.rows.tobytes()})


def spend(source: str, samples: int, *, at: float, limit: int) -> bool:
    """Count samples of a source in this second; False when it sent more than `limit`."""
    key = keys.sent(source, int(at))
    with redis.registry().pipeline(transaction=False) as pipe:
        pipe.incrby(key, samples)
        pipe.expire(key, 5)
        return int(pipe.execute()[0]) <= limit


def note_due(db: Connection, level: str, starts: Iterable[datetime]) -> None:
    """Remember minutes, hours or days to be rolled up (again)."""
    rows = [{"level": level, "start": start} for start in starts]
    if rows:
        db.execute(insert(due).values(rows).on_conflict_do_nothing())


def days(db: Connection) -> list[date]:
    """Return the days that points can be written to."""
    return partitions.known(db, POINTS)
