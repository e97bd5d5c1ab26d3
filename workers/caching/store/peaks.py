"""Peak mode, as all processes see it. Its orders stand on the registry's server, which evicts nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from workers.caching import keys
from workers.caching.rules.kinds import Kind, Policy, problem
from workers.caching.store import server
from workers.caching.store.local import Key
from workers.foundation import redis

#: In peak mode so many connections to the cache's server are opened ahead.
OPENED = 8


@dataclass(frozen=True)
class Peak:
    """Peak mode: under which key, until when (epoch seconds of the cache's server), ordered by whom."""

    key: str
    until: float
    by: str


def active(at: float) -> Peak | None:
    """Return the order for peak mode that holds longest at a moment, or None."""
    return max((one for one in known() if one.until > at), key=lambda one: one.until, default=None)


def known() -> list[Peak]:
    """Return all orders for peak mode that were not ended, over or not; one for each who ordered it."""
    found = []
    for by, text in redis.registry().hgetall(keys.PEAK).items():
        key, _, until = text.rpartition(" ")
        found.append(Peak(key, float(until), by))
    return found


def order(peak: Peak) -> None:
    """Have all processes begin peak mode, or go on with it until another moment."""
    redis.registry().hset(keys.PEAK, peak.by, f"{peak.key} {peak.until}")
    server.tell(keys.MODE)


def end(orders: Sequence[Peak]) -> None:
    """Take orders back: processes end peak mode where no other holds."""
    if orders:
        redis.registry().hdel(keys.PEAK, *(one.by for one in orders))
    server.tell(keys.MODE)


class Tunable(Protocol):
    """A process's cache, as peak mode tunes it."""

    policy: Policy

    def tune(self, *, entries: int, compress_above: int | None) -> None:
        """Hold so many copies, and compress bodies above a size."""

    def hold(self, wanted: Sequence[Key]) -> int:
        """Take entries from the server into memory; return how many were there."""


def follow(cache: Tunable, *, at: float) -> float | None:
    """Have a process begin or end peak mode, as it was ordered; return until when it holds."""
    found = active(at)
    apply(cache, in_peak=found is not None)
    if found is None:
        return None
    cache.hold(hot(cache.policy.local_entries_peak // 2))
    return found.until


def apply(cache: Tunable, *, in_peak: bool) -> None:
    """Tune a process's cache for peak mode, or as it is ordinarily."""
    policy = cache.policy
    if in_peak:
        cache.tune(entries=policy.local_entries_peak, compress_above=policy.compress_above)
        redis.open_ahead(redis.cache_server(decode=False), OPENED)
    else:
        cache.tune(entries=policy.local_entries, compress_above=None)


def hot(limit: int) -> list[Key]:
    """Return the entries that are read most of late."""
    found: list[Key] = []
    for name, _ in server.hottest(limit):
        kind, *ids = name.split(":")
        if problem(kind, tuple(ids)) is None and kind != Kind.CONNECTION:
            found.append((kind, tuple(ids)))
    return found
