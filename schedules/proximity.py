"""How often a wedding is looked at, by the time to its start; and which are due now.

The due ones are taken from a sorted set in Redis and sent in batches, so that 10,000 weddings cost a bounded
number of tasks, whoever many are due.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from workers.foundation import redis
from workers.foundation.moments import Moment
from workers.weddings.keys import DUE, SPANS

#: Time to the start -> how long until the next look.
PACES = (
    (timedelta(hours=1), timedelta(seconds=10)),
    (timedelta(hours=4), timedelta(seconds=30)),
    (timedelta(hours=24), timedelta(minutes=1)),
    (timedelta(days=7), timedelta(minutes=5)),
)
FAR = timedelta(minutes=15)
LOOKED_AT_AFTER_END = timedelta(hours=3)

BATCH = 500
#: 10,000 weddings that are all due at once; what is more comes with the next firing, the longest due first.
MAX = 10_000


def until_next_look(start: datetime, end: datetime, *, now: Moment) -> timedelta | None:
    """Return how long until the next look at a wedding.

    None when it has ended and was looked at after its end.
    """
    if now >= end + LOOKED_AT_AFTER_END:
        return None
    return next((pace for to_start, pace in PACES if start - now <= to_start), FAR)


def take_due(*, now: Moment) -> list[list[str]]:
    """Return the weddings that are due in batches, and note when each is due next.

    Only one beat may call it at a time.
    """
    milliseconds = now.timestamp() * 1000
    ids = redis.registry().zrangebyscore(DUE, "-inf", milliseconds, start=0, num=MAX)
    # No look is further ahead than this: what is was noted by a clock that ran ahead.
    ids += redis.registry().zrangebyscore(
        DUE, milliseconds + 2000 * FAR.total_seconds(), "+inf", start=0, num=MAX - len(ids)
    )
    if not ids:
        return []
    after, ended = {}, []
    for wedding_id, span in zip(ids, redis.registry().hmget(SPANS, ids), strict=True):
        wait = until_next_look(*_edges(span), now=now) if span else None
        if wait is None:
            ended.append(wedding_id)
        else:
            after[wedding_id] = milliseconds + wait.total_seconds() * 1000
    with redis.registry().pipeline(transaction=True) as pipe:
        if after:
            # XX: a wedding that was cancelled meanwhile stays out.
            pipe.zadd(DUE, after, xx=True)
        for batch in _batches(ended):
            pipe.zrem(DUE, *batch)
            pipe.hdel(SPANS, *batch)
        pipe.execute()
    return _batches(ids)


def _edges(span: str) -> Iterable[datetime]:
    return map(datetime.fromisoformat, span.split("/"))


def _batches(ids: list[str]) -> list[list[str]]:
    return [ids[first : first + BATCH] for first in range(0, len(ids), BATCH)]
