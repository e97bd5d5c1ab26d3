"""Work that is done once a day, when no wedding is near: dropping what is old.

An upper room, which knows the calendar, publishes until when that is so.
"""

from collections.abc import Callable
from datetime import timedelta

from workers.foundation import clock, redis
from workers.foundation.keys import MAINTENANCE

#: A job that was done so lately waits; one that was not for so long waits for no window any more.
EVERY, LATEST = timedelta(hours=20), timedelta(hours=44)
#: What a job's run is called that waits for its time.
WAITS = "waits"
_OPEN = "open_until"


def publish(until: float | None) -> None:
    """Have jobs know until when (epoch seconds) no wedding is near; None: one is."""
    redis.registry().hset(MAINTENANCE, _OPEN, until or 0)


def is_due(job: str, *, at: float) -> bool:
    """Tell whether a job is to be done now; one that never was is: it may have to make what is missing."""
    until, done = redis.registry().hmget(MAINTENANCE, _OPEN, job)
    passed = at - float(done or 0)
    in_window = at < float(until or 0)
    return passed > (EVERY if in_window else LATEST).total_seconds()


def run(job: str, body: Callable[[], str]) -> str:
    """Do a job when it is due; return how that ended, or that it waits."""
    if not is_due(job, at=clock.epoch()):
        return WAITS
    result = body()
    if result == "ok":
        done(job, at=clock.epoch())
    return result


def done(job: str, *, at: float) -> None:
    """Note that a job was done."""
    redis.registry().hset(MAINTENANCE, job, at)
