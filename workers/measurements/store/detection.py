"""What the detectors remember between sweeps, and what they found: in Redis, some 500 bytes a series."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Connection, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from workers.foundation import redis
from workers.measurements.keys import FOUND, STATE
from workers.measurements.rules.samples import Anomaly
from workers.measurements.store import blocks
from workers.measurements.store.points import series


@dataclass(frozen=True)
class Memory:
    """What a detector remembers.

    The series' ids, their packed states, when each was heard of last, and the last sweep, both in seconds
    since 1970.
    """

    ids: NDArray[np.int64]
    rows: NDArray[np.uint8]
    heard: NDArray[np.float64]
    swept: float

    @classmethod
    def empty(cls, swept: float) -> Self:
        """Return the memory of a detector that knows no series."""
        return cls(np.empty(0, np.int64), np.empty((0, 0), np.uint8), np.empty(0), swept)


def recall(detector: str, *, row_bytes: int, epoch: float) -> Memory | None:
    """Return what a detector remembers.

    None when it is new, Redis lost it, or it is of another version or time.
    """
    found = redis.undecoded().hgetall(STATE + detector)
    try:
        ids = np.frombuffer(found[b"ids"], np.int64)
        rows = np.frombuffer(found[b"rows"], np.uint8).copy()
        swept = float(found[b"swept"])
        heard = np.frombuffer(found.get(b"heard", b""))
        if len(heard) != len(ids):
            # The version before wrote last, which knows nothing of it.
            heard = np.full(len(ids), swept)
        if not 0 < swept <= epoch + 60:
            return None
        if not len(ids):
            return Memory.empty(swept)
        return Memory(ids, rows.reshape(len(ids), row_bytes), heard, swept)
    except (KeyError, ValueError):
        return None


def remember(detector: str, memory: Memory) -> None:
    """Remember it, whole: a reader sees the old or the new."""
    arrays = {name: getattr(memory, name).tobytes() for name in ("ids", "rows", "heard")}
    redis.undecoded().hset(STATE + detector, mapping=arrays | {"swept": memory.swept})


def means(db: Connection, start: datetime, end: datetime) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the series that have points in [start, end), in order, and each one's mean over them."""
    first = int(start.timestamp()) // 60 * 60
    minutes = range(first, math.ceil(end.timestamp()), 60)
    rows = blocks.read(db, (datetime.fromtimestamp(minute, UTC) for minute in minutes))
    begin, until = (int(at.timestamp() * 1e6) for at in (start, end))
    rows = rows[(rows["at"] >= begin) & (rows["at"] < until)]
    ids, places = np.unique(rows["series"], return_inverse=True)
    return ids, np.bincount(places, rows["value"], len(ids)) / np.bincount(places, minlength=len(ids))


def watched(db: Connection, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those of some series that detectors look at, in order.

    What only ever grows sets a record each time, so counters are none of them; nor are those of one wedding,
    which is over before they are learned, and has budgets of its own.
    """
    query = text(
        "SELECT id FROM metric_series WHERE id = ANY(:ids) AND name !~ '_(total|count|sum|bucket|ok)$' "
        "AND NOT jsonb_exists(labels, 'wedding_id') ORDER BY id"
    )
    return np.array(list(db.execute(query, {"ids": ids.tolist()}).scalars()), np.int64)


def texts(db: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Return the series' texts by id."""
    query = select(series.c.id, series.c.text).where(series.c.id == any_(literal([*ids], ARRAY(BigInteger))))
    return {row[0]: row[1] for row in db.execute(query)}


def publish(found: Iterable[Anomaly]) -> None:
    """Remember what was found, where alerts look."""
    if rows := {one.series: orjson.dumps(asdict(one)).decode() for one in found}:
        redis.registry().hset(FOUND, mapping=rows)


def active(epoch: float) -> list[Anomaly]:
    """Return what was found and is not over; forget the rest."""
    found: dict[str, Anomaly | None] = {}
    for name, row in redis.registry().hgetall(FOUND).items():
        try:
            found[name] = Anomaly(**orjson.loads(row))
        except (ValueError, TypeError):
            found[name] = None
    if ended := [name for name, one in found.items() if one is None or one.until < epoch]:
        redis.registry().hdel(FOUND, *ended)
    return [one for one in found.values() if one and one.until >= epoch]
