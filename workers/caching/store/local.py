"""What a process holds in memory: copies of entries, never older than the last change that it heard of."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any

from workers.caching.rules.eviction import Eviction
from workers.caching.rules.kinds import Ids

#: A copy's key: kind and ids. A kind is as good as its text.
Key = tuple[str, Ids]
#: So many changes are remembered, to refuse what was read before one of them.
REMEMBERED = 20_000
_NEVER, _EVER = float("-inf"), float("inf")


class Copy:
    """An entry's value as a process holds it; moments are seconds of the stopwatch.

    `value` is shared by all who read it: change none of it. None is what does not exist. `stale` says that
    its source was unavailable when it should have been loaded anew.
    """

    __slots__ = ("early", "early_at", "fresh_until", "hits", "over", "revision", "stale", "sum", "value")

    def __init__(self, value: Any, revision: int, *, fresh_until: float, early: float) -> None:
        """Hold a value that is loaded anew from `early` on."""
        self.value, self.revision, self.stale = value, revision, False
        #: From when on a read does more than take it; `early` again once what was missed is known.
        self.early_at = self.early = early
        self.fresh_until = fresh_until
        #: When its wedding is over; epoch seconds of the world.
        self.over = _EVER
        self.hits = 0
        self.sum = ""


class Local:
    """Copies by key, as many as fit; those of weddings that are over go first."""

    def __init__(self, capacity: int, *, world: Callable[[], float]) -> None:
        """Hold `capacity` copies; `world` returns the world's moment in epoch seconds."""
        self.copies: dict[Key, Copy] = {}
        self._world, self._lock = world, threading.RLock()
        self._eviction = Eviction(capacity)
        self._ends: list[tuple[float, Key]] = []
        self._changed: dict[Key, tuple[int, int]] = {}
        self._changes = 0
        #: Notes that a copy was read; False when `missed` is to be called as well.
        self.touch = self._eviction.touch
        self.evicted = 0
        #: How often copies were read that are here no more.
        self.left = Counter[Key]()
        self.trusted = False

    @property
    def capacity(self) -> int:
        """Return how many copies fit."""
        return self._eviction.capacity

    def resize(self, capacity: int) -> None:
        """Hold so many copies from now on."""
        with self._lock:
            self._eviction.resize(capacity)
            for _ in range(len(self.copies) - capacity):
                self._forget(self._eviction.give_up())

    def begun(self) -> int:
        """Return what `keep` wants of who begins to read."""
        return self._changes

    def keep(self, key: Key, copy: Copy, *, since: int) -> bool:
        """Hold a copy, unless a change since it was read is newer, or nothing is heard of changes."""
        with self._lock:
            revision = self.heard(key)
            unknown = self._changes - since > REMEMBERED
            # What was heard of holds, whenever it was: a server that took another's place may lag behind.
            if not self.trusted or unknown or copy.revision < revision:
                return False
            before = self.copies.get(key)
            if before is not None:
                if before.revision > copy.revision:
                    return False
                copy.hits = before.hits
            self.copies[key] = copy
            if copy.over < _EVER and (before is None or before.over != copy.over):
                heappush(self._ends, (copy.over, key))
            if before is None:
                self._make_room(key)
            return True

    def _make_room(self, key: Key) -> None:
        if len(self.copies) > self.capacity:
            self._drop_past()
        if (victim := self._eviction.add(key)) is not None:
            self._forget(victim)

    def _drop_past(self) -> None:
        """Drop one copy of a wedding that is over."""
        now = self._world()
        while self._ends and self._ends[0][0] < now:
            _, key = heappop(self._ends)
            copy = self.copies.get(key)
            if copy is not None and copy.over < now:
                self._eviction.discard(key)
                self._forget(key)
                return

    def _forget(self, key: Key) -> None:
        """Take out a copy that gives way to another."""
        self._take_out(key)
        self.evicted += 1

    def _take_out(self, key: Key) -> None:
        copy = self.copies.pop(key, None)
        if copy is not None and copy.hits:
            self.left[key] += copy.hits

    def missed(self, key: Key) -> None:
        """Note a read that `touch` did not take in full."""
        with self._lock:
            if key in self.copies:
                self._eviction.miss(key)

    def changed_since(self, key: Key, since: int) -> bool:
        """Tell whether an entry changed since `begun` said so."""
        return self._changes - since > REMEMBERED or self._changed.get(key, (0, 0))[0] > since

    def drop(self, keys: Iterable[Key], revision: int) -> None:
        """Drop the copies of entries that changed, unless they are as new as the change."""
        with self._lock:
            for key in keys:
                self._changes += 1
                # Put at the end: the oldest are forgotten first.
                self._changed.pop(key, None)
                self._changed[key] = self._changes, revision
                copy = self.copies.get(key)
                if copy is not None and copy.revision < revision:
                    self._take_out(key)
                    self._eviction.discard(key)
            while len(self._changed) > REMEMBERED:
                del self._changed[next(iter(self._changed))]

    def heard(self, key: Key) -> int:
        """Return the revision of an entry's last change that was heard of; 0 when none was."""
        return self._changed.get(key, (0, 0))[1]

    def distrust(self) -> None:
        """Have each copy checked before it is served: nothing is heard of changes any more."""
        with self._lock:
            self.trusted = False
            for copy in self.copies.values():
                copy.early_at = _NEVER

    def trust(self, *, missed: bool) -> None:
        """Serve copies again; where changes may have been `missed`, each only once it was checked."""
        with self._lock:
            self.trusted = True
            if not missed:
                for copy in self.copies.values():
                    copy.early_at = copy.early

    def expire(self, at: float, kept: float) -> int:
        """Drop copies whose time is over by `kept` seconds; return how many."""
        with self._lock:
            over = [key for key, copy in self.copies.items() if copy.fresh_until + kept < at]
            for key in over:
                self._take_out(key)
                self._eviction.discard(key)
            self._ends = sorted((copy.over, key) for key, copy in self.copies.items() if copy.over < _EVER)
            return len(over)

    def reset(self) -> None:
        """Drop all copies, and what was heard: revisions begin anew."""
        with self._lock:
            for key in list(self.copies):
                self._take_out(key)
                self._eviction.discard(key)
            # What is being read at this moment is from before.
            self._changes += REMEMBERED + 1
            self._changed.clear()
            self._ends.clear()

    def __len__(self) -> int:
        """Return how many copies there are."""
        return len(self.copies)
