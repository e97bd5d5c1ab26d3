"""What maintenance found in the cache's server, and what of it is amiss. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: An entry that is larger, in bytes, slows all others that are read from the same server.
BIG = 64_000
#: Evictions a second, of a server that is this full, say that it is too small.
EVICTING, FULL = 1.0, 0.9


@dataclass(frozen=True)
class Held:
    """Entries of a kind among those that were looked at: how many, and their bytes."""

    entries: int
    bytes: int


@dataclass(frozen=True)
class Structure:
    """The server's sizes in bytes, what it gave up since it started, and what was found among sampled keys.

    `unbounded` keys would never expire, `orphans` are none of ours or can't be read, `big` are larger than an
    entry should be. `ratio` is how many bytes of bodies a byte in the server stands for.
    """

    used: int
    limit: int
    entries: int
    evicted: int
    sampled: int = 0
    unbounded: int = 0
    orphans: int = 0
    big: tuple[str, ...] = ()
    kinds: Mapping[str, Held] = field(default_factory=dict)
    ratio: float | None = None
    evictions_per_s: float = 0.0
    operations_per_s: float = 0.0

    @property
    def pressure(self) -> float | None:
        """Return how full it is; None without a limit."""
        return self.used / self.limit if self.limit else None

    @property
    def is_too_small(self) -> bool:
        """Tell whether it is full and has to give up what is asked for."""
        return (self.pressure or 0.0) >= FULL and self.evictions_per_s >= EVICTING


@dataclass(frozen=True)
class Compared:
    """Of sampled entries how many were compared with their source, how many were older, and by how long.

    `lag` is in seconds: so long ago the oldest of them was made, so that it was wrong no longer.
    """

    sampled: int
    stale: int
    lag: float = 0.0

    @property
    def share(self) -> float:
        """Return which share was older than its source."""
        return self.stale / self.sampled if self.sampled else 0.0


@dataclass(frozen=True)
class Condition:
    """What maintenance found last: what alerts and scaling go by.

    `poisoned` entries were refused of late; of `unread` weddings nothing that was warmed was read.
    """

    structure: Structure | None = None
    stale: Compared = Compared(0, 0)
    poisoned: int = 0
    unread: tuple[str, ...] = ()
