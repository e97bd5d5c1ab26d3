"""What the detectors remember between sweeps, and what they found: in Redis, some 500 bytes a series."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Connection, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from workers.foundation import redis
from workers.measurements.keys import FOUND, STATE
from workers.measurements.rules.samples import Anomaly
from workers.measurements.store.points import series


@dataclass(frozen=True)
class Memory:
    """What a detector remembers.

    The series' ids in order, their packed states, and the sweep it saw last, in epoch seconds.
    """

    ids: NDArray[np.int64]
    rows: NDArray[np.uint8]
    swept: float


def recall(detector: str, *, row_bytes: int, epoch: float) -> Memory | None:
    """Return what a detector remembers.

    None when it is new, Redis lost it, or it is of another version or time.
    """
    found = redis.undecoded().hgetall(STATE + detector)
    try:
        ids = np.frombuffer(found[b"ids"], np.int64)
        rows = np.frombuffer(found[b"rows"], np.uint8).copy()
        swept = float(found[b"swept"])
        if not 0 < swept <= epoch + 60 or (len(ids) and len(rows) != len(ids) * row_bytes):
            return None
        return Memory(ids, rows.reshape(len(ids), -1) if len(ids) else rows.reshape(0, 0), swept)
    except (KeyError, ValueError):
        return None


def remember(detector: str, memory: Memory) -> None:
    """Remember it, whole: a reader sees the old or the new."""
    fields = {"ids": memory.ids.tobytes(), "rows": memory.rows.tobytes(), "swept": memory.swept}
    redis.undecoded().hset(STATE + detector, mapping=fields)


def values(db: Connection, start: datetime, end: datetime) -> dict[int, float]:
    """Return each series' mean over its points in [start, end)."""
    # What only ever grows sets a record each time: counters are not looked at.
    query = text(
        "SELECT p.series, avg(p.value) FROM metric_points p JOIN metric_series s ON s.id = p.series "
        "WHERE p.at >= :start AND p.at < :end AND s.name !~ '_(total|count|sum|bucket|ok)$' GROUP BY 1"
    )
    return {row[0]: row[1] for row in db.execute(query, {"start": start, "end": end})}


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
