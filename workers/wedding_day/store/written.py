"""What was written last of how each day goes, in Redis: losing it costs a row more."""

from collections.abc import Mapping
from datetime import timedelta
from zlib import crc32

from workers.foundation import redis
from workers.foundation.moments import Moment
from workers.wedding_day.keys import WRITTEN


def changed(told_by: Mapping[str, str], *, now: Moment, every: timedelta) -> set[str]:
    """Return the weddings of which a row is to be written: something has changed, or it is long ago."""
    if not told_by:
        return set()
    ids = list(told_by)
    found = dict(zip(ids, redis.registry().hmget(WRITTEN, ids), strict=True))
    return {id for id in ids if not _holds(id, found[id], told_by[id], now, every)}


def note(told_by: Mapping[str, str], *, now: Moment) -> None:
    """Note that rows were written, and by what their weddings' state is told."""
    if told_by:
        at = now.timestamp()
        redis.registry().hset(WRITTEN, mapping={id: f"{at} {own}" for id, own in told_by.items()})


def _holds(id: str, text: str | None, told_by: str, now: Moment, every: timedelta) -> bool:
    at, _, before = (text or "").partition(" ")
    # Not all at the same look: each at a time of its own.
    jitter = 0.75 + crc32(id.encode()) / 2**33
    return before == told_by and now.timestamp() - float(at) < jitter * every.total_seconds()


def clear() -> None:
    """Forget all: of each day that is on a row more is written."""
    redis.registry().delete(WRITTEN)
