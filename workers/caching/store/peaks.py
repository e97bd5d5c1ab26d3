"""Peak mode, as all processes see it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import orjson

from workers.caching import keys
from workers.caching.rules.kinds import Kind, Policy, problem
from workers.caching.store import server
from workers.caching.store.local import Key
from workers.foundation import redis

#: In peak mode so many times as many loads may be on their way.
MORE = 2


@dataclass(frozen=True)
class Peak:
    """Peak mode: under which key, until when (epoch seconds of the cache's server), ordered by whom."""

    key: str
    until: float
    by: str


def active(at: float) -> Peak | None:
    """Return peak mode as it holds at a moment, or None."""
    found = known()
    return found if found and found.until > at else None


def known() -> Peak | None:
    """Return peak mode as it was ordered last, over or not; None where it was ended."""
    text = redis.cache_server().get(keys.PEAK)
    return Peak(**orjson.loads(text)) if text else None


def order(peak: Peak) -> None:
    """Have all processes begin peak mode, or go on with it until another moment."""
    redis.cache_server().set(keys.PEAK, orjson.dumps(asdict(peak)))
    server.tell(keys.MODE)


def end() -> None:
    """Have all processes end peak mode."""
    redis.cache_server().delete(keys.PEAK)
    server.tell(keys.MODE)


class Tunable(Protocol):
    """A process's cache, as peak mode tunes it."""

    policy: Policy
    loaders: int

    def tune(self, *, entries: int, compress_above: int | None, more_loaders: int) -> None:
        """Hold so many copies, compress bodies above a size, and have so many times as many loads at once."""

    def hold(self, wanted: Sequence[Key]) -> int:
        """Take entries from the server into memory; return how many were there."""


def follow(cache: Tunable, *, at: float) -> None:
    """Have a process begin or end peak mode, as it was ordered."""
    in_peak = active(at) is not None
    apply(cache, in_peak=in_peak)
    if in_peak:
        cache.hold(hot(cache.policy.local_entries_peak // 2))


def apply(cache: Tunable, *, in_peak: bool) -> None:
    """Tune a process's cache for peak mode, or as it is ordinarily."""
    policy = cache.policy
    if in_peak:
        cache.tune(entries=policy.local_entries_peak, compress_above=policy.compress_above, more_loaders=MORE)
        redis.open_ahead(redis.cache_server(decode=False), cache.loaders)
    else:
        cache.tune(entries=policy.local_entries, compress_above=None, more_loaders=1)


def hot(limit: int) -> list[Key]:
    """Return the entries that are read most of late."""
    found: list[Key] = []
    for name, _ in server.hottest(limit):
        kind, *ids = name.split(":")
        if problem(kind, tuple(ids)) is None and kind != Kind.CONNECTION:
            found.append((kind, tuple(ids)))
    return found
