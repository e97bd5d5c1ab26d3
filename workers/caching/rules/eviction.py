"""Which copy gives way to a new one. Pure.

Two policies run beside each other, on keys alone, as if each had the room to itself; what the better one of
late would not hold gives way. One is LRU. The other is S3-FIFO (Yang et al., "FIFO queues are all you need
for cache eviction", SOSP 2023), whose small queue's share follows ghost hits as ARC's does (Megiddo and
Modha, FAST 2003). S3-FIFO gains where much is asked for once, and loses where recency is all: it has to be
ahead by a margin before it is followed. benchmarks/cache_traces.py has the figures.
"""

from collections import OrderedDict
from collections.abc import Iterable
from itertools import chain
from typing import Any, Protocol

#: A key: whatever can be one of a dictionary.
Key = Any
#: Keys, the oldest first.
_Queue = OrderedDict[Key, None]

#: A share of the room: how far one policy may be ahead of the other, and from where S3-FIFO is followed.
BOUND, FOLLOWED = 0.3, 0.25
#: How many uses take a key from the small queue to the main one; how many give it another round there.
PROMOTED, ROUNDS = 2, 3
#: The small queue's share to begin with, and how far a ghost hit moves it, in keys.
SMALL, STEP = 0.1, 3.0


class _Policy(Protocol):
    capacity: int

    def add(self, key: Key) -> Iterable[Key]:
        """Hold a key; return those that are held no more."""

    def __contains__(self, key: Key) -> bool: ...


class _Recency:
    """Holds what was used last."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.order: OrderedDict[Key, None] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self.order

    def add(self, key: Key) -> list[Key]:
        self.order[key] = None
        return [self.order.popitem(last=False)[0] for _ in range(len(self.order) - self.capacity)]


class _Frequency:
    """Holds what was used more than once since it came, and for a short while what is new."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self._share = capacity, SMALL * capacity
        self._small, self._main = _Queue(), _Queue()
        #: How often each key in either queue was used since it came there, as a list of one.
        self.uses: dict[Key, list[int]] = {}
        # What was held a while ago, in which queue: it says which of them is too short.
        self._small_ghosts, self._main_ghosts = _Queue(), _Queue()

    def __contains__(self, key: Key) -> bool:
        return key in self.uses

    def add(self, key: Key) -> list[Key]:
        queue = self._queue_of(key)
        gone = []
        while len(self._small) + len(self._main) >= self.capacity:
            small = self._small and (len(self._small) > self._share or not self._main)
            gone += self._shorten_small() if small else self._shorten_main()
        queue[key], self.uses[key] = None, [0]
        return gone

    def _queue_of(self, key: Key) -> _Queue:
        """Return where a new key is put; one that was held a while ago changes the small queue's share."""
        small, main = self._small_ghosts, self._main_ghosts
        if key in small:
            del small[key]
            self._share = min(self.capacity, self._share + STEP * max(1, len(main) / (len(small) + 1)))
        elif key in main:
            del main[key]
            self._share = max(1, self._share - STEP * max(1, len(small) / (len(main) + 1)))
        else:
            return self._small
        return self._main

    def _shorten_small(self) -> list[Key]:
        key, _ = self._small.popitem(last=False)
        if self.uses[key][0] >= PROMOTED:
            self._main[key], self.uses[key] = None, [0]
            return []
        return self._haunt(self._small_ghosts, key)

    def _shorten_main(self) -> list[Key]:
        key, _ = self._main.popitem(last=False)
        if uses := self.uses[key][0]:
            self._main[key], self.uses[key] = None, [min(ROUNDS, uses) - 1]
            return []
        return self._haunt(self._main_ghosts, key)

    def _haunt(self, ghosts: _Queue, key: Key) -> list[Key]:
        del self.uses[key]
        ghosts[key] = None
        while len(ghosts) > self.capacity:
            ghosts.popitem(last=False)
        return [key]


class Eviction:
    """Keys that are held, `capacity` at most."""

    def __init__(self, capacity: int) -> None:
        """Hold nothing yet."""
        self._recency, self._frequency = _Recency(capacity), _Frequency(capacity)
        self._uses, self._move_to_end = self._frequency.uses, self._recency.order.move_to_end
        self._held: set[Key] = set()
        #: What is held though a policy would not hold it: by policy, the oldest first.
        self._spare: dict[_Policy, dict[Key, None]] = {self._recency: {}, self._frequency: {}}
        #: By how many hits LRU is ahead.
        self._ahead = 0.0

    @property
    def capacity(self) -> int:
        """Return how many keys are held at most."""
        return self._recency.capacity

    def __len__(self) -> int:
        """Return how many keys are held."""
        return len(self._held)

    def touch(self, key: Key) -> bool:
        """Note that a key was used; False when a policy would not hold it: then `miss` is to be called.

        This may be called by several threads at once; nothing else here may.
        """
        uses = self._uses.get(key)
        if uses is not None:
            uses[0] += 1
        try:
            self._move_to_end(key)
        except KeyError:
            return False
        return uses is not None

    def miss(self, key: Key) -> None:
        """Have the policies hold a key that one of them did not, and note which of them did."""
        had = {policy: key in policy for policy in self._spare}
        if had[self._recency] != had[self._frequency]:
            bound = BOUND * self.capacity
            self._ahead = max(-bound, min(bound, self._ahead + (1 if had[self._recency] else -1)))
        for policy, spare in self._spare.items():
            if not had[policy]:
                spare.pop(key, None)
                spare.update((gone, None) for gone in policy.add(key) if gone in self._held)

    def add(self, key: Key) -> Key | None:
        """Hold a new key; return the one that gives way, or None."""
        self._held.add(key)
        if not self.touch(key):
            self.miss(key)
        return self.give_up() if len(self._held) > self.capacity else None

    def give_up(self) -> Key:
        """Hold the key no more that is to give way, the first that the better policy lacks; return it."""
        better = self._frequency if -self._ahead >= FOLLOWED * self.capacity else self._recency
        victim = next(iter(self._spare[better]), None)
        victim = victim if victim is not None else self._oldest()
        self.discard(victim)
        return victim

    def _oldest(self) -> Key:
        # A copy of the order, which readers change at this moment.
        order = (key for key in list(self._recency.order) if key in self._held)
        # What is no policy's any more, after `resize`, is the last to be thought of.
        return next(chain(order, self._held))

    def discard(self, key: Key) -> None:
        """Hold a key no more, that expired or changed: the policies still count on it."""
        self._held.discard(key)
        for spare in self._spare.values():
            spare.pop(key, None)

    def resize(self, capacity: int) -> None:
        """Have room for so many keys from now on; who holds more has some `give_up`."""
        self._recency.capacity = self._frequency.capacity = capacity
