"""Redis or Valkey: one pool a process and address, a time-out on every call."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from workers.foundation import settings, waiting
from workers.foundation.errors import ExpectedError

#: What a caller may meet when the server is unavailable.
UNREACHABLE = (RedisConnectionError, RedisTimeoutError)


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an error says that the server is unavailable."""
    return isinstance(error, UNREACHABLE)


class FunctionsMissing(ExpectedError):
    """the Redis functions of {library} are not loaded on this server; run `wedops migrate`"""


#: A decoding client. redis-py types every answer as if it might be bytes or a promise; ours are text, so it
#: is Any to mypy.
Client = Any

#: What an address of a cluster has before its host: redis+cluster://
CLUSTER = "+cluster"
#: The library of the cache's server.
CACHING = "wedops_caching"
#: In seconds: what a call of the cache may take.
CACHE_PATIENCE = 0.9


def registry() -> Client:
    """Return the client of broker and registry: the role that never evicts."""
    return _client(settings.servers().broker_url)


def cache_server(*, decode: bool = True, tries: int = 2) -> Client:
    """Return the client of the cache: the role that evicts by use. Not decoded, its answers are bytes.

    Who asks a cache has another way to the answer: it is waited for no longer than `CACHE_PATIENCE`. A second
    of the `tries` is for a socket that ended while it waited in the pool.
    """
    return _client(settings.servers().cache_url, decode=decode, patience=CACHE_PATIENCE, tries=tries)


def connections() -> Client:
    """Return the client of the connections' registry and of what gateways obey.

    The broker's server, unless it has its own.
    """
    url = settings.servers().connections_url
    if not url:
        return registry()
    return _client(url.replace(CLUSTER, "", 1), _Cluster) if CLUSTER in url else _client(url)


def undecoded() -> Client:
    """Return a client of the broker whose answers are bytes, for libraries that want them so."""
    return _client(settings.servers().broker_url, decode=False)


class _Cluster(RedisCluster):
    """A cluster whose functions have their first argument's keys.

    Otherwise redis-py asks a server for the keys of each call.
    """

    def determine_slot(self, *args: Any) -> Any:
        """Return the slot of a command."""
        if args[0] in ("FCALL", "FCALL_RO"):
            return self.keyslot(args[3])  # type: ignore[no-untyped-call]
        return super().determine_slot(*args)


@cache
def _client(
    url: str,
    kind: Any = Redis,
    *,
    decode: bool = True,
    patience: float | None = None,
    tries: int = 0,
) -> Client:
    lasts = min(waiting.seconds(), patience or waiting.seconds())
    return kind.from_url(
        url,
        decode_responses=decode,
        # What somebody wrote that is no text must not keep all else from being read.
        encoding_errors="replace",
        socket_timeout=lasts,
        socket_connect_timeout=min(2.0, lasts),
        health_check_interval=15,
        socket_keepalive=True,
        **({"retry": Retry(NoBackoff(), tries - 1)} if tries else {}),
    )


def open_ahead(client: Client, connections: int) -> None:
    """Open connections of a client's pool before they are needed."""
    pool = client.connection_pool
    opened = [pool.get_connection() for _ in range(connections)]
    for one in opened:
        pool.release(one)


def broker_hangs() -> bool:
    """Tell, within some 2 s, whether the broker takes a connection and says nothing, or lets nobody in."""
    client = Redis.from_url(
        settings.servers().broker_url, socket_timeout=1, socket_connect_timeout=1, retry=None
    )
    try:
        client.ping()
    except RedisTimeoutError:
        return True
    except RedisError:
        return False
    finally:
        client.close()
    return False


# The parent's sockets are the parent's.
os.register_at_fork(after_in_child=_client.cache_clear)


def libraries() -> dict[str, str]:
    """Return the source of each room's functions by the library name in its first line.

    They are its `functions.lua`, or where that grew too long the parts in its folder `functions`, by name;
    after the first line each has `common.lua`.
    """
    common = Path(__file__).with_name("common.lua").read_text()
    rooms = sorted(Path(__file__).parent.parent.iterdir())
    parts = ([*room.glob("functions.lua"), *sorted(room.glob("functions/*.lua"))] for room in rooms)
    texts = ["\n".join(path.read_text() for path in paths) for paths in parts if paths]
    sources = [
        "\n".join((first, common, rest)) for first, _, rest in (text.partition("\n") for text in texts)
    ]
    return {source.partition("\n")[0].partition("name=")[2].strip(): source for source in sources}


def load_functions() -> list[str]:
    """Load or replace every room's functions on broker and registry, and the cache's on its server.

    Return the libraries' names. Safe at any time.
    """
    found = libraries()
    for client in {registry(), connections()}:
        everywhere = {"target_nodes": RedisCluster.PRIMARIES} if isinstance(client, RedisCluster) else {}
        for source in found.values():
            client.execute_command("FUNCTION LOAD", "REPLACE", source, **everywhere)
    # A cache that is unavailable keeps nobody from migrating: who uses it loads them when it is back.
    with suppress(*UNREACHABLE):
        load_cache_functions()
    return list(found)


def load_cache_functions() -> None:
    """Load or replace the cache's functions on its server, which forgets them when it restarts."""
    cache_server().execute_command("FUNCTION LOAD", "REPLACE", libraries()[CACHING])


def outdated_functions() -> list[str]:
    """Return the libraries that a server of broker or registry lacks or has in another version."""
    outdated = set()
    for client in _servers():
        rows = (
            row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))
            for row in client.function_list(withcode=True)
        )
        loaded = {row["library_name"]: row["library_code"] for row in rows}
        outdated |= {name for name, source in libraries().items() if loaded.get(name) != source}
    return sorted(outdated)


def _servers() -> list[Client]:
    """Return a client of each server that functions are loaded on."""
    own = connections()
    if isinstance(own, RedisCluster):
        return [registry(), *_primaries(own)]
    return [registry()] if own is registry() else [registry(), own]


def _primaries(cluster: Client) -> list[Client]:
    return [cluster.get_redis_connection(node) for node in cluster.get_primaries()]


def is_cluster(client: Client) -> bool:
    """Tell whether a call must keep to one slot."""
    return isinstance(client, RedisCluster)


def server_time(client: Client) -> tuple[int, int]:
    """Return a server's (seconds, microseconds): of a cluster, its first primary's."""
    seconds, micros = (_primaries(client)[0] if isinstance(client, RedisCluster) else client).time()
    return int(seconds), int(micros)


def is_missing_function(error: Exception) -> bool:
    """Tell whether a call failed because the functions were never loaded on this server."""
    return "Function not found" in str(error)


@contextmanager
def named_errors(library: str, refused: type[ExpectedError]) -> Iterator[None]:
    """Raise what a function's error reply means: `refused` with its problem, or FunctionsMissing."""
    try:
        yield
    except ResponseError as error:
        if is_missing_function(error):
            raise FunctionsMissing(library=library) from error
        if "REFUSED " in str(error):
            raise refused(problem=str(error).partition("REFUSED ")[2]) from error
        raise


def memory_used() -> dict[str, float]:
    """Return the share of its memory, from 0 to 1, that the fullest server of a role uses; 0 without a limit.

    Broker and connections (when they have their own): the cache evicts when full.
    """
    return {role: max(map(memory_share, servers)) for role, servers in keeping().items()}


def keeping() -> dict[str, list[Client]]:
    """Return the servers that must keep what they are given, by role.

    Broker, and connections when they have their own.
    """
    return {"broker": [registry()]} | (
        {"connections": _servers()[1:]} if connections() is not registry() else {}
    )


def memory_share(server: Client) -> float:
    """Return the share of its memory, from 0 to 1, that a server uses; 0 without a limit."""
    memory = server.info("memory")
    return float(memory["used_memory"] / memory["maxmemory"]) if memory["maxmemory"] else 0.0
