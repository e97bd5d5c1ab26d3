"""When real systems were asked last, and which of them hang: in Redis, so that all processes go by the same."""

from contextlib import suppress
from datetime import timedelta

from redis.exceptions import RedisError

from workers.foundation import redis

#: There while somebody looked at a resource a short time ago, and while a call to an actuator has not ended.
LOOKED, HANGS = "wedops:scaling:looked:", "wedops:scaling:hangs:"


def take(region: str, resource: str, *, each: timedelta) -> bool:
    """Take the turn to look at a resource that nothing of ours says the value of; False when it was looked at within `each`."""
    return bool(redis.registry().set(f"{LOOKED}{region}/{resource}", 1, nx=True, ex=each))


def note_hanging(actuator: str, *, most: timedelta) -> None:
    """Remember that a call to an actuator did not end in time, for `most`: who hangs for good must be tried again."""
    with suppress(RedisError):
        redis.registry().set(HANGS + actuator, 1, ex=most)


def note_ended(actuator: str) -> None:
    """Remember that it ended after all."""
    with suppress(RedisError):
        redis.registry().delete(HANGS + actuator)


def hangs(actuator: str) -> bool:
    """Tell whether a call to an actuator has not ended yet, in whichever process; without Redis nobody knows."""
    with suppress(RedisError):
        return bool(redis.registry().exists(HANGS + actuator))
    return False
