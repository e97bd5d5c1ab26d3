"""How long what may be cached, and what a warm-up loads. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What is cached; each with its own time to live."""

    SUBSCRIPTION = "subscription"
    USER = "user"
    WEDDING = "wedding"
    CONNECTION = "connection"


@dataclass(frozen=True)
class Policy:
    """Times to live by kind.

    The local layer's size; how long one loader may keep others waiting on a cold key.
    """

    prefix: ClassVar = "CACHING_"

    subscription_ttl: timedelta = timedelta(seconds=300)
    user_ttl: timedelta = timedelta(seconds=600)
    wedding_ttl: timedelta = timedelta(seconds=120)
    connection_ttl: timedelta = timedelta(seconds=1800)
    local_entries: int = 500
    load_within: timedelta = timedelta(seconds=2)

    def ttl(self, kind: Kind) -> timedelta:
        """Return how long an entry of `kind` may live."""
        return {
            Kind.SUBSCRIPTION: self.subscription_ttl,
            Kind.USER: self.user_ttl,
            Kind.WEDDING: self.wedding_ttl,
            Kind.CONNECTION: self.connection_ttl,
        }[kind]


@dataclass(frozen=True)
class Structure:
    """What maintenance found in the cache server: sizes in bytes, rates from 0 to 1."""

    used: int
    limit: int
    entries: int
    evicted: int
    hits: int
    misses: int
    unbounded: int

    @property
    def hit_ratio(self) -> float | None:
        """Return hits of all reads; None before the first."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else None

    @property
    def pressure(self) -> float | None:
        """Return how full it is; None without a limit."""
        return self.used / self.limit if self.limit else None
