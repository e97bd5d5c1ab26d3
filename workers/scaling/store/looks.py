"""When real systems were asked last, and which of them hang.

In Redis, so that all processes go by the same.
"""

from contextlib import suppress
from datetime import timedelta

from redis.exceptions import RedisError

from workers.foundation import redis, waiting
from workers.scaling.keys import HANGS, LOOKED


def take(region: str, resource: str, *, each: timedelta) -> bool:
    """Take the turn to look at a resource that nothing of ours says the value of.

    False when it was looked at within `each`.
    """
    return bool(redis.registry().set(f"{LOOKED}{region}/{resource}", 1, nx=True, ex=each))


def note_hanging(actuator: str, *, call: str, limit: timedelta) -> None:
    """Remember that a call to an actuator did not end in time, for `limit`.

    Who hangs for good must be tried again. A person's command ends with its call, and nobody would say that
    it ended: it keeps that to itself.
    """
    if not waiting.passes_circuits():
        with suppress(RedisError):
            redis.registry().set(HANGS + actuator, call, ex=limit)


def note_ended(actuator: str, *, call: str) -> None:
    """Remember that it ended after all, unless another call hangs by now."""
    with suppress(RedisError):
        if redis.registry().get(HANGS + actuator) == call:
            redis.registry().delete(HANGS + actuator)


def hangs(actuator: str) -> bool:
    """Tell whether a call to an actuator has not ended yet, in whichever process.

    Without Redis nobody knows.
    """
    with suppress(RedisError):
        return bool(redis.registry().exists(HANGS + actuator))
    return False
