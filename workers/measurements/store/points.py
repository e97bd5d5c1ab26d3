"""Points on their way: checked samples wait in a stream in Redis for the writer.

Their series, and what is due to be rolled up.
"""

from collections.abc import Iterable
from datetime import date, datetime

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    DateTime,
    Identity,
    Table,
    Text,
    any_,
    delete,
    func,
    literal,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from workers.foundation import redis
from workers.foundation.database import metadata
from workers.foundation.errors import ExpectedError
from workers.measurements import keys
from workers.measurements.keys import STREAM
from workers.measurements.rules.samples import Batch

series = Table(
    "metric_series",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("text", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, index=True),
    Column("labels", JSONB, nullable=False),
    Column("heard_on", Date, nullable=False, server_default=func.current_date()),
)
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
        # An update, so that a roll-up which takes the row waits for what is being written, and sees it.
        noted = insert(due).values(rows)
        db.execute(
            noted.on_conflict_do_update(
                index_elements=["level", "start"], set_={"start": noted.excluded.start}
            )
        )


def note_heard(db: Connection, ids: list[int]) -> None:
    """Remember that something was measured of series lately."""
    ours, today = series.c.id == any_(literal(ids, ARRAY(BigInteger))), func.current_date()
    db.execute(update(series).where(ours, series.c.heard_on < today).values(heard_on=today))


def forget_series(db: Connection, *, before: date) -> int:
    """Drop series that were last heard of before a day; return how many."""
    return db.execute(delete(series).where(series.c.heard_on < before)).rowcount
