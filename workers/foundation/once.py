"""`once`: one copy at a time, with an owner, a time to live and a fencing number."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from workers.foundation import keys, redis


@dataclass(frozen=True)
class Lease:
    """A hold on `name`.

    `fence` grows with every hold, so that a late writer can be told from its successor.
    """

    name: str
    token: str
    fence: int


def take(name: str, *, token: str, ttl: timedelta) -> Lease | None:
    """Return a lease on `name` for `ttl`, or None while another token holds it.

    The same token gets in again.
    """
    lease, milliseconds = keys.lease(name), int(ttl.total_seconds() * 1000)
    fence = redis.registry().fcall("wedops_once_take", 2, lease, f"{lease}:fence", token, milliseconds)
    return Lease(name, token, int(fence)) if fence else None


def drop(lease: Lease) -> bool:
    """Give the lease back; False when it had run out and may be somebody else's by now."""
    return bool(redis.registry().fcall("wedops_once_drop", 1, keys.lease(lease.name), lease.token))


@contextmanager
def held(name: str, *, token: str, ttl: timedelta) -> Iterator[Lease | None]:
    """Hold `name` for the length of the block; yield None when somebody else has it."""
    lease = take(name, token=token, ttl=ttl)
    try:
        yield lease
    finally:
        if lease:
            drop(lease)
