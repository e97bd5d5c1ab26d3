"""What is asked of the cache's server. Functions that a restart took from it are loaded again."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, ResponseError

from workers.caching.keys import CHANGES, COUNTS, ENTRIES, HOT, LOADING, TOTALS
from workers.foundation import redis

#: So many entries are written, or dropped, in one go.
PAGE = 500
#: So many hot entries are known.
HOTTEST = 2_000


@dataclass(frozen=True, slots=True)
class Taken:
    """What `take` found: a fresh entry, the lease to load it, or neither; `text` may be an old one then."""

    text: bytes | None
    may_load: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Filling:
    """An entry to be written by who holds its lease: for how many ms it is kept, and its text."""

    name: str
    token: str
    revision: int
    keep_ms: int
    text: bytes


def getter() -> Callable[[str], bytes | None]:
    """Return a function that returns an entry's text; it raises what `redis.UNREACHABLE` has.

    Most reads of the server are of this kind, and a fifth of what redis-py takes for one is its pool: each
    thread has a connection of its own.
    """
    pool, own = redis.cache_server(decode=False).connection_pool, threading.local()

    def _get(name: str) -> bytes | None:
        connection = getattr(own, "connection", None)
        if connection is None:
            # Not the pool's: it ends with its thread, and takes no place of others.
            connection = own.connection = pool.connection_class(**pool.connection_kwargs)
        key = ENTRIES + name
        try:
            return _answer(connection, key)
        except redis.UNREACHABLE[0]:
            # One that ended while it waited; a server that is gone says so again.
            return _answer(connection, key)

    return _get


def _answer(connection: Any, key: str) -> bytes | None:
    try:
        connection.send_command("GET", key)
        found: bytes | None = connection.read_response()
    except BaseException:
        # What was asked on it may still be answered: to who asks next.
        connection.disconnect()
        raise
    return found


def get(name: str) -> bytes | None:
    """Return an entry's text, for who asks once in a while."""
    return get_all([name]).get(name)


def get_all(names: Sequence[str]) -> dict[str, bytes]:
    """Return the texts of the entries that are there, by name."""
    texts = redis.cache_server(decode=False).mget([ENTRIES + name for name in names]) if names else []
    return {name: text for name, text in zip(names, texts, strict=True) if text is not None}


#: So many names go into one question.
PAGE = 1_000


def exist(names: Sequence[str]) -> list[bool]:
    """Tell of each entry whether there is one, without reading any."""
    found = list[bool]()
    for first in range(0, len(names), PAGE):
        with redis.cache_server().pipeline(transaction=False) as pipe:
            for name in names[first : first + PAGE]:
                pipe.exists(ENTRIES + name)
            found += map(bool, pipe.execute())
    return found


def take(wanted: Mapping[str, str], token: str, *, lasts_ms: int) -> list[Taken]:
    """Ask to load entries by name, each with the checksum of an older copy that the caller has, or ''."""
    calls = [
        ("wedops_cache_take", 2, ENTRIES + name, LOADING + name, name, token, lasts_ms, has)
        for name, has in wanted.items()
    ]
    return [_taken(*answer) for answer in _calls(calls)]


def _taken(state: bytes, text: bytes | None = None) -> Taken:
    return Taken(text, may_load=state == b"load", fresh=state == b"entry")


def fill(fillings: Iterable[Filling], *, tries: int = 2) -> list[int]:
    """Write entries whose lease is still the caller's.

    Return for each 1, 0 when a change took the lease, -1 when what is there is newer.
    """
    calls = [
        (
            "wedops_cache_fill",
            2,
            ENTRIES + one.name,
            LOADING + one.name,
            *(one.name, one.token, one.revision, one.keep_ms, one.text),
        )
        for one in fillings
    ]
    return [int(answer) for answer in _calls(calls, tries=tries)]


def drop_leases(names: Iterable[str], token: str) -> None:
    """Give back the leases of loads that failed."""
    _calls([("wedops_cache_drop_lease", 1, LOADING + name, token) for name in names])


def discard(name: str, text: bytes) -> None:
    """Take out a text that is none of our entries, unless another took its place."""
    _calls([("wedops_cache_discard", 1, ENTRIES + name, text)])


def invalidate(names: Sequence[str], revision: int) -> None:
    """Take entries out that are older than `revision`, in all processes."""
    pages = [names[first : first + PAGE] for first in range(0, len(names), PAGE)]
    _calls([("wedops_cache_invalidate", 0, revision, *page) for page in pages])


def tell(word: str) -> None:
    """Tell every process something that is no change of an entry."""
    redis.cache_server(decode=False).xadd(CHANGES, {"revision": 0, "names": word}, maxlen=1000)


def note(counts: Iterable[tuple[str, str, int, int, int, int]]) -> None:
    """Add what was read.

    For each: wedding or '', name, how often from memory, from the server, and loaded; 1 when it was warmed.
    """
    flat = [value for one in counts for value in one]
    pages = [flat[first : first + 6 * PAGE] for first in range(0, len(flat), 6 * PAGE)]
    _calls([("wedops_cache_note", 0, *page) for page in pages])


def note_refused(counts: Mapping[str, int]) -> None:
    """Add how many entries were refused, by kind, to what gateways refused."""
    with redis.cache_server().pipeline(transaction=False) as pipe:
        for kind, many in counts.items():
            pipe.hincrby(COUNTS, f"own|{kind}", many)
        pipe.execute()


def totals() -> dict[tuple[str, str], int]:
    """Return how often all readers ever read, by (layer, kind): local, server, none (it had to be loaded)."""
    found = redis.cache_server().hgetall(TOTALS)
    pairs = ((name.partition("|"), int(value)) for name, value in found.items() if value.isdigit())
    return {(layer, kind): many for (layer, bar, kind), many in pairs if bar}


def cool() -> None:
    """Have what was read long ago weigh half, and what is hardly read any more nothing."""
    server = redis.cache_server()
    server.zunionstore(HOT, {HOT: 0.5})
    server.zremrangebyrank(HOT, 0, -HOTTEST - 1)


def hottest(limit: int) -> list[tuple[str, float]]:
    """Return the entries that are read most of late, with how often."""
    found: list[tuple[str, float]] = redis.cache_server().zrevrange(HOT, 0, limit - 1, withscores=True)
    return found


def _calls(calls: Sequence[tuple[Any, ...]], *, tries: int = 2) -> list[Any]:
    """Call functions in one go; a server that lost them gets them again."""
    if not calls:
        return []
    try:
        return _ask(calls, tries)
    except ResponseError as error:
        if not redis.is_missing_function(error):
            raise
        try:
            redis.load_cache_functions()
        except NoPermissionError:
            # Workers load them, and meet the same within half a minute.
            raise RedisConnectionError("the cache's functions are missing") from error
        return _ask(calls, tries)


def _ask(calls: Sequence[tuple[Any, ...]], tries: int) -> list[Any]:
    server = redis.cache_server(decode=False, tries=tries)
    if len(calls) == 1:
        return [server.fcall(*calls[0])]
    with server.pipeline(transaction=False) as pipe:
        for call in calls:
            pipe.fcall(*call)
        answers: list[Any] = pipe.execute()
    return answers
