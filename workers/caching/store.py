"""The two layers. Every process drops its local copy when anybody changes an entry."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import orjson
from cachetools import TLRUCache
from sqlalchemy import BigInteger, Column, Connection, DateTime, Identity, Integer, Table, Text, func, select
from sqlalchemy.dialects.postgresql import JSONB

from workers.caching.keys import CHANGED, ENTRIES, LOADING
from workers.caching.rules import Kind, Policy, Structure
from workers.foundation import background, breaker, clock, logs, redis, settings
from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once, plain

log = logs.get("caching")

#: What an entry is called: an id, or several as `(wedding, supplier)`.
Id = str | tuple[str, ...]
EXPIRE = "*expire*"
#: So many entries are written, or dropped, and told of at once.
PAGE = 500

results = Table(
    "optimization_results",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("wedding_id", Text),
    Column("actions", Integer, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    info=expires("at"),
)


@dataclass(frozen=True)
class Result:
    """What an optimisation did under a key."""

    key: str
    kind: str
    wedding_id: str | None
    detail: Mapping[str, Any]


def record(db: Connection, done: Iterable[Result], *, at: Moment) -> int:
    """Remember what optimisations did, each once a key; return how many keys are new."""
    rows = [vars(one) | {"actions": one.detail.get("entries", 0), "at": at} for one in done]
    return len(insert_once(db, results, rows))


def count(db: Connection, kind: str) -> int:
    """Return how many results of a kind there are."""
    return int(db.execute(select(func.count()).where(results.c.kind == kind)).scalar_one())


def of_wedding(db: Connection, wedding_id: str, *, limit: int = 20) -> list[dict[str, Any]]:
    """Return what was made ready or done for a wedding, the newest first."""
    query = (
        select(results).where(results.c.wedding_id == wedding_id).order_by(results.c.id.desc()).limit(limit)
    )
    return plain(db.execute(query))


@dataclass(frozen=True)
class Entry:
    """A value to be cached."""

    kind: Kind
    id: Id
    value: Any


class TwoLayers:
    """A cache of JSON values: at most `local_entries` in this process, all in Valkey.

    An invalidation is published to every process; a process that lost its line to Valkey drops all local
    copies when it is back, so none outlives a change by more than that.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lock = threading.Lock()
        self._local: TLRUCache[str, tuple[float, Any]] = TLRUCache(
            policy.local_entries,
            ttu=lambda _key, entry, _now: entry[0],
            timer=clock.stopwatch,
        )
        self._generation = 0
        background.keep("cache-changes", self._listen)

    def get(self, kind: Kind, id: Id, load: Callable[[], Any]) -> Any:
        """Return the entry, loading it when neither layer has it; one process loads, others wait for it.

        A cache server that is unavailable costs time, not the answer.
        """
        key = _key(kind, id)
        with self._lock:
            if (entry := self._local.get(key)) is not None:
                return entry[1]
            generation = self._generation
        try:
            with breaker.guarded("cache", redis.is_unavailable):
                value, until = self._get(kind, key, load)
        except (*redis.UNREACHABLE, breaker.CircuitOpen) as error:
            log.warning("loaded without cache", reason="redis_unreachable", detail=str(error))
            return load()
        with self._lock:
            # A change published while we read must win over what we read.
            if generation == self._generation:
                self._local[key] = (until, value)
        return value

    def _get(self, kind: Kind, key: str, load: Callable[[], Any]) -> tuple[Any, float]:
        with redis.cache_server().pipeline(transaction=True) as pipe:
            pipe.get(key)
            pipe.pttl(key)
            text, left = pipe.execute()
        if text is None:
            return self._load(kind, key, load), clock.stopwatch() + self._policy.ttl(kind).total_seconds()
        # The local copy dies with the entry it is a copy of.
        return orjson.loads(text), clock.stopwatch() + max(0, left) / 1000

    def _load(self, kind: Kind, key: str, load: Callable[[], Any]) -> Any:
        server, token, loading = redis.cache_server(), uuid4().hex, _lock(key)
        patience = int(self._policy.load_within.total_seconds() * 1000)
        if not server.set(loading, token, nx=True, px=patience) and (text := self._wait(key)):
            return orjson.loads(text)
        value = load()
        # Whoever changed the entry meanwhile took the token away: what we loaded is old then.
        if server.get(loading) == token:
            server.set(key, orjson.dumps(value), px=int(self._policy.ttl(kind).total_seconds() * 1000))
            server.delete(loading)
        return value

    def _wait(self, key: str) -> Any:
        # Whoever loads may die: then we load as well, after its time.
        until = clock.stopwatch() + self._policy.load_within.total_seconds()
        while clock.stopwatch() < until:
            if text := redis.cache_server().get(key):
                return text
            threading.Event().wait(0.02)
        return None

    def put_all(self, entries: Sequence[Entry]) -> None:
        """Write entries and have every process drop its copies."""
        for first in range(0, len(entries), PAGE):
            by_key = {_key(one.kind, one.id): one for one in entries[first : first + PAGE]}
            with redis.cache_server().pipeline(transaction=True) as pipe:
                for key, one in by_key.items():
                    lives = int(self._policy.ttl(one.kind).total_seconds() * 1000)
                    pipe.set(key, orjson.dumps(one.value), px=lives)
                pipe.delete(*map(_lock, by_key))
                pipe.publish(CHANGED, " ".join(by_key))
                pipe.execute()
            self._drop(*by_key)

    def invalidate_all(self, kind: Kind, ids: Sequence[Id]) -> None:
        """Drop entries from both layers, in every process."""
        for first in range(0, len(ids), PAGE):
            keys = [_key(kind, id) for id in ids[first : first + PAGE]]
            with redis.cache_server().pipeline(transaction=True) as pipe:
                pipe.delete(*keys, *map(_lock, keys))
                pipe.publish(CHANGED, " ".join(keys))
                pipe.execute()
            self._drop(*keys)

    def _drop(self, *keys: str) -> None:
        with self._lock:
            self._generation += 1
            for key in keys:
                self._local.pop(key, None)

    def _expire(self) -> None:
        with self._lock:
            self._local.expire()

    def _clear(self) -> None:
        with self._lock:
            self._generation += 1
            self._local.clear()

    def _hear(self, message: str) -> None:
        if message == EXPIRE:
            self._expire()
        else:
            self._drop(*message.split(" "))

    def _listen(self) -> None:
        # The client is kept: when its last user lets it go, it closes the lines of all.
        server = redis.cache_server()
        try:
            with server.pubsub(ignore_subscribe_messages=True) as channel:
                channel.subscribe(CHANGED)
                self._clear()
                while True:
                    if message := channel.get_message(timeout=1.0):
                        self._hear(message["data"])
        except redis.UNREACHABLE as error:
            log.warning("changes not heard", reason="redis_unreachable", detail=str(error))
        finally:
            self._clear()


@cache
def layers() -> TwoLayers:
    """Return this process's cache."""
    return TwoLayers(settings.read(Policy))


def _key(kind: Kind, id: Id) -> str:
    # A part that holds a colon is written out: no id can be taken for two, nor two for one.
    parts = (id,) if isinstance(id, str) else id
    return ":".join((ENTRIES + kind, *(quote(part, safe="@") for part in parts)))


def _lock(key: str) -> str:
    return LOADING + key.removeprefix(ENTRIES)


def expire() -> int:
    """Have every process drop its expired local copies; return how many listened."""
    return int(redis.cache_server().publish(CHANGED, EXPIRE))


def structure(sample: int = 1000) -> Structure:
    """Return the cache server's sizes; of `sample` keys, how many would never expire."""
    server = redis.cache_server()
    memory, stats = server.info("memory"), server.info("stats")
    _, keys = server.scan(match=f"{ENTRIES}*", count=sample)
    with server.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.ttl(key)
        lives = pipe.execute()
    return Structure(
        used=memory["used_memory"],
        limit=memory["maxmemory"],
        entries=server.dbsize(),
        evicted=stats["evicted_keys"],
        hits=stats["keyspace_hits"],
        misses=stats["keyspace_misses"],
        unbounded=lives.count(-1),
    )
