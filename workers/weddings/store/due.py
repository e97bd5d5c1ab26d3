"""When each wedding is to be looked at, in Redis."""

from collections.abc import Iterable

from workers.foundation import redis
from workers.foundation.moments import Moment
from workers.weddings.keys import DUE, SPANS
from workers.weddings.rules import Status, Wedding


def list_due(calendar: Iterable[Wedding], *, at: Moment, anew: bool = True) -> None:
    """Have each wedding looked at from `at` on; `anew` also those that were to be looked at later."""
    score = int(at.timestamp() * 1000)
    with redis.registry().pipeline(transaction=True) as pipe:
        for wedding in calendar:
            if wedding.status is Status.CANCELLED:
                pipe.zrem(DUE, wedding.id)
                pipe.hdel(SPANS, wedding.id)
            else:
                pipe.hset(SPANS, wedding.id, f"{wedding.starts_at.isoformat()}/{wedding.ends_at.isoformat()}")
                pipe.zadd(DUE, {wedding.id: score}, nx=not anew)
        pipe.execute()
