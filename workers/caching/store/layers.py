"""The two layers: copies in this process, entries in the cache's server, and the source behind both."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from functools import cache
from os import register_at_fork
from uuid import uuid4

from redis.exceptions import RedisError

from workers.caching import keys
from workers.caching.formats import envelope
from workers.caching.formats.envelope import Envelope, Poisoned
from workers.caching.rules.kinds import Ids, Kind, Policy, problem
from workers.caching.store import entries, peaks, server
from workers.caching.store.changes import Changes
from workers.caching.store.entries import Loaded, Warmth
from workers.caching.store.local import Copy, Key, Local
from workers.caching.store.tally import Tally
from workers.foundation import background, breaker, clock, logs, redis, settings
from workers.foundation.errors import ExpectedError

log = logs.get("caching")

#: In seconds: how often who waits for another's load asks again.
ASK_EVERY = 0.015
#: In seconds: for so long a copy whose source failed is served without asking again.
RETRY_AFTER = 1.0
#: Loads go on beside those who gave up waiting for them; more at once would only queue at the database.
LOADERS = 6
#: Of `load_within`, how long who loads keeps others from it, and how long these wait until they load as well:
#: who died on the way costs them half their time.
LEASED, WAITED = 2.5, 0.5


class EntryRefused(ExpectedError):
    """there is no such entry: {problem}"""

    http_status = 422


class LoadTimedOut(ExpectedError):
    """{name} could not be loaded within {seconds:g} s, and no older copy is left; try again"""


Load = Callable[[], Loaded]
#: What the server may raise; then the source is asked.
_NO_CACHE = (RedisError, breaker.CircuitOpen)


class TwoLayers:
    """A cache of JSON objects that is never older than a change its process has heard of."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.local = Local(policy.local_entries, world=lambda: clock.now().timestamp())
        self.tally = Tally(self.local)
        self.changes = Changes(self.local, self._hear, self._tick)
        self.compress_above: int | None = None
        self._peak_until: float | None = None
        self._copies, self._touch = self.local.copies, self.local.touch
        #: Loads on their way, and which change each began after.
        self._flights: dict[Key, tuple[Future[Copy], int]] = {}
        self._lock = threading.Lock()
        self._loaders = ThreadPoolExecutor(LOADERS, thread_name_prefix="cache-load")
        self._get_text = server.getter()
        self._ended = threading.Event()
        background.keep("cache-changes", self.changes.listen, until=self._ended)

    def is_ready(self, *, within: float = 2.0) -> bool:
        """Tell whether this process hears of changes, or will within some seconds."""
        until = clock.stopwatch() + within
        while not self.changes.connected and clock.stopwatch() < until:
            threading.Event().wait(ASK_EVERY)
        return self.changes.connected

    def close(self) -> None:
        """Hear of changes no more."""
        self._ended.set()
        self.changes.end()
        self._loaders.shutdown(wait=False)

    def get(self, kind: Kind, ids: Ids, load: Load) -> Copy:
        """Return the entry's copy, from memory, the server, or its source; one of the fleet loads it.

        It is marked `stale` where the source is unavailable and an older copy is left. Raises EntryRefused,
        LoadTimedOut, and what `load` raises where none is left.
        """
        key = (kind, ids)
        copy = self._copies.get(key)
        if copy is not None and clock.stopwatch() < copy.early_at:
            copy.hits += 1
            if not self._touch(key):
                self.local.missed(key)
            return copy
        return self._get(kind, ids, copy, load)

    def _get(self, kind: Kind, ids: Ids, copy: Copy | None, load: Load) -> Copy:
        if wrong := problem(kind, ids):
            raise EntryRefused(problem=wrong)
        key, since, begun = (str(kind), ids), self.local.begun(), clock.stopwatch()
        if self.policy.bypass:
            return self._direct(load)
        if copy is not None and copy.early_at == copy.early <= begun < copy.fresh_until and not copy.stale:
            # It is fresh: who comes after is not to find it expired.
            self._fly(key, copy, load)
            copy.hits += 1
            return copy
        found = self._read(key, since)
        self.tally.read(key, hit=found is not None and not found.stale, seconds=clock.stopwatch() - begun)
        if found is None or found.stale:
            return self._load(key, found or copy, load, since)
        if found.early_at <= clock.stopwatch():
            self._fly(key, found, load)
        return found

    def _read(self, key: Key, since: int) -> Copy | None:
        """Return what the server has, `stale` when its time is over; None when it has nothing of ours."""
        if not self.changes.connected:
            return None
        name = keys.name(*key)
        try:
            text = self._get_text(name)
        except RedisError:
            return None
        return self._take_in(key, text, since) if text is not None else None

    def _take_in(self, key: Key, text: bytes, since: int) -> Copy | None:
        try:
            found = envelope.read(keys.name(*key), text)
        except Poisoned as error:
            self.tally.refused(key, str(error))
            # Left there, it would look like an entry that is newer than all that is loaded.
            with suppress(RedisError):
                server.discard(keys.name(*key), text)
            return None
        if found.revision < (heard := self.local.heard(key)):
            # A server that took another's place, and lags behind what this process has heard.
            with suppress(RedisError):
                server.invalidate([keys.name(*key)], heard)
            return None
        copy = self._copy(found, text)
        if found.warm != "-":
            self.tally.warmed(key, found.warm)
        if not copy.stale and key[0] != Kind.CONNECTION:
            self.local.keep(key, copy, since=since)
        return copy

    def _load(self, key: Key, older: Copy | None, load: Load, since: int) -> Copy:
        """Return what the source has; an older copy, marked, where that takes too long or fails."""
        flight = self._fly(key, older, load)
        lasts = self.policy.soft_timeout if older is not None else self.policy.load_within
        try:
            return flight.result(lasts.total_seconds())
        except Exception as error:
            if older is None:
                if isinstance(error, FutureTimeoutError) and not flight.done():
                    raise LoadTimedOut(name=keys.name(*key), seconds=lasts.total_seconds()) from None
                raise
            return self._fall_back(key, older, error, since)

    def _fall_back(self, key: Key, older: Copy, error: Exception, since: int) -> Copy:
        """Serve an older copy for a moment, marked as stale."""
        stale = Copy(older.value, older.revision, fresh_until=older.fresh_until, early=0.0)
        stale.early_at = stale.early = clock.stopwatch() + RETRY_AFTER
        stale.stale, stale.sum, stale.over = True, older.sum, older.over
        self.tally.stale(key, type(error).__name__)
        self.local.keep(key, stale, since=since)
        return stale

    def _fly(self, key: Key, older: Copy | None, load: Load) -> "Future[Copy]":
        """Return the load of an entry that is on its way in this process, begun if there is none."""
        with self._lock:
            flight, since = self._flights.get(key, (None, 0))
            # One that began before a change may bring what was before it: not to who asks after it.
            if flight is None or self.local.changed_since(key, since):
                has, since = older.sum if older is not None else "", self.local.begun()
                flight = self._loaders.submit(self._load_once, key, has, load)
                self._flights[key] = flight, since
        flight.add_done_callback(lambda done: self._land(key, done))
        return flight

    def _land(self, key: Key, flight: "Future[Copy]") -> None:
        with self._lock:
            if self._flights.get(key, (None, 0))[0] is flight:
                del self._flights[key]

    def _load_once(self, key: Key, has: str, load: Load) -> Copy:
        """Load an entry, unless another process does: then wait for that one."""
        if not self.changes.connected:
            return self._direct(load)
        until = clock.stopwatch() + WAITED * self.policy.load_within.total_seconds()
        token = uuid4().hex
        while clock.stopwatch() < until:
            since = self.local.begun()
            try:
                with breaker.guarded("cache", redis.is_unavailable):
                    taken = server.take({keys.name(*key): has}, token, lasts_ms=self.lease_ms)[0]
            except _NO_CACHE:
                break
            if taken.fresh and taken.text and (copy := self._take_in(key, taken.text, since)):
                return copy
            if taken.may_load and (copy := self._fill(key, token, load)):
                return copy
            threading.Event().wait(ASK_EVERY)
        return self._direct(load)

    @property
    def lease_ms(self) -> int:
        """Return for how many ms who loads an entry keeps others from it."""
        return int(LEASED * self.policy.load_within.total_seconds() * 1000)

    def _fill(self, key: Key, token: str, load: Load) -> Copy | None:
        """Load and write an entry; None when a change took the lease meanwhile: what was loaded is old."""
        since, begun = self.local.begun(), clock.stopwatch()
        try:
            loaded = load()
        except BaseException:
            self._give_up(key, token)
            raise
        took = clock.stopwatch() - begun
        try:
            filled, filling = self.made(key, loaded, token, load=took)
            answer = server.fill([filling], tries=1)[0]
        except (RedisError, Poisoned) as error:
            log.warning("not cached", kind=key[0], reason=type(error).__name__)
            self._give_up(key, token)
            return entries.uncached(loaded)
        self.tally.filled(key, answer, clock.stopwatch() - begun - took)
        if answer != 1:
            # It ran out: only what was too slow to be kept. Else a change took it.
            ran_out = took * 1000 >= self.lease_ms and not self.local.changed_since(key, since)
            return entries.uncached(loaded) if ran_out else None
        copy = self._copy(filled, filling.text)
        if key[0] != Kind.CONNECTION:
            self.local.keep(key, copy, since=since)
        return copy

    def _give_up(self, key: Key, token: str) -> None:
        try:
            server.drop_leases([keys.name(*key)], token)
        except RedisError as error:
            # It runs out by itself.
            log.warning("lease not dropped", reason="redis", detail=str(error))

    def made(
        self, key: Key, loaded: Loaded, token: str, *, load: float, warmth: Warmth = entries.ORDINARY
    ) -> tuple[Envelope, server.Filling]:
        """Return the entry that a loaded value makes, and how it is written."""
        at, name = self.changes.now(), keys.name(*key)
        entry = entries.made(name, loaded, self.policy, at=at, load=load, warmth=warmth)
        return entry, entries.filling(entry, token, self.policy, compress_above=self.compress_above)

    def _copy(self, found: Envelope, text: bytes) -> Copy:
        return entries.copy_of(found, text, self.policy, at=self.changes.now())

    def _direct(self, load: Load) -> Copy:
        """Return what the source has; nobody else gets it."""
        return entries.uncached(load())

    def tune(self, *, entries: int, compress_above: int | None) -> None:
        """Hold so many copies, and compress bodies above a size."""
        self.compress_above = compress_above
        self.local.resize(entries)

    def hold(self, wanted: Sequence[Key]) -> int:
        """Take entries from the server into memory; return how many were there."""
        since = self.local.begun()
        texts = server.get_all([keys.name(*key) for key in wanted])
        by_name = {keys.name(*key): key for key in wanted}
        return sum(self._take_in(by_name[name], text, since) is not None for name, text in texts.items())

    def _hear(self, word: str) -> None:
        if word == keys.EXPIRE:
            self.local.expire(clock.stopwatch(), self.policy.fail_safe_for.total_seconds())
        elif word == keys.MODE:
            self._peak_until = peaks.follow(self, at=self.changes.now())
        elif word == keys.RESET:
            self.local.reset()

    def _tick(self) -> None:
        self.tally.flush(now=clock.now())
        if self._peak_until is not None and self._peak_until < self.changes.now():
            self._hear(keys.MODE)


@cache
def layers() -> TwoLayers:
    """Return this process's cache."""
    return TwoLayers(settings.read(Policy))


# The parent's threads are not the child's.
register_at_fork(after_in_child=layers.cache_clear)
