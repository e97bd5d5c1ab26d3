"""Redis or Valkey: one pool a process and role, a time-out on every call."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from workers.foundation import settings
from workers.foundation.errors import Anticipated

#: What a caller may meet when the server is away.
UNREACHABLE = (RedisConnectionError, RedisTimeoutError)


class FunctionsMissing(Anticipated):
    """the Redis functions of {library} are not loaded on this server; run `wedops migrate`"""


#: A decoding client. redis-py types every answer as if it might be bytes or a promise; ours are text, so it is Any to mypy.
Client = Any


@cache
def registry() -> Client:
    """Return the client of broker and registry: the role that never evicts."""
    return _client(settings.servers().broker_url)


@cache
def cache_server() -> Client:
    """Return the client of the cache: the role that evicts by use."""
    return _client(settings.servers().cache_url)


def _client(url: str) -> Client:
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=3,
        socket_connect_timeout=2,
        health_check_interval=15,
        socket_keepalive=True,
    )


def _forget() -> None:
    registry.cache_clear()
    cache_server.cache_clear()


os.register_at_fork(after_in_child=_forget)


def libraries() -> dict[str, str]:
    """Return the source of each room's `functions.lua` by the library name in its first line."""
    sources = [path.read_text() for path in sorted(Path(__file__).parent.parent.glob("*/functions.lua"))]
    return {source.partition("\n")[0].partition("name=")[2].strip(): source for source in sources}


def load_functions(client: Client) -> list[str]:
    """Load or replace every room's functions; return the libraries' names. Safe while others call them."""
    found = libraries()
    for source in found.values():
        client.function_load(source, replace=True)
    return list(found)


def outdated_functions(client: Client) -> list[str]:
    """Return the libraries that the server lacks or has in another version."""
    loaded = {}
    for row in client.function_list(withcode=True):
        fields = row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))
        loaded[fields["library_name"]] = fields["library_code"]
    return [name for name, source in libraries().items() if loaded.get(name) != source]


def is_missing_function(error: Exception) -> bool:
    """Tell whether a call failed because the functions were never loaded on this server."""
    return "Function not found" in str(error)


def memory_used() -> float:
    """Return the share of its memory, from 0 to 1, that the broker uses; 0 without a limit. The cache evicts when full."""
    memory = registry().info("memory")
    return float(memory["used_memory"] / memory["maxmemory"]) if memory["maxmemory"] else 0.0
