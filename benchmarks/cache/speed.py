"""Reads of 500 bytes of JSON, medians in microseconds, ours and its peers in turns."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib.util import find_spec
from statistics import median
from urllib.parse import urlsplit

import orjson

from workers.caching.keys import ENTRIES
from workers.caching.rules.kinds import Kind, Policy
from workers.caching.store.entries import Loaded
from workers.caching.store.layers import TwoLayers
from workers.foundation import clock, redis, settings

BODY = {
    "starts_at": "2026-10-10T18:00:00+00:00",
    "ends_at": "2026-10-11T02:00:00+00:00",
    "region": "us-west",
    "timeline": {"ceremony": "x" * 370},
}
READS = 5_000


def measure(runs: int) -> dict[str, dict[str, float]]:
    """Return the medians by contestant: a hit in memory, a hit in the server."""
    contestants = {"ours": _ours, "redis_py": _redis_py} | _installed()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, one in contestants.items():
            found[name].append(one())
    return {
        name: {figure: round(median(row[figure] for row in rows), 2) for figure in rows[0]}
        for name, rows in found.items()
    }


def _installed() -> dict[str, Callable[[], dict[str, float]]]:
    found = {}
    for name, module, one in (("dogpile", "dogpile.cache", _dogpile), ("cashews", "cashews", _cashews)):
        if find_spec(module.partition(".")[0]):
            found[name] = one
        else:
            print(f"cache: no {module} to compare with (pip install {module})", file=sys.stderr)
    return found


def _median_us(read: Callable[[], object], reads: int = READS) -> float:
    times = []
    for _ in range(reads):
        begun = clock.stopwatch()
        read()
        times.append(clock.stopwatch() - begun)
    return median(times) * 1e6


def _ours() -> dict[str, float]:
    cache = TwoLayers(Policy(wedding_ttl=timedelta(seconds=600)))
    cache.is_ready()
    ids = ("w-speed",)

    def _load() -> Loaded:
        return Loaded(BODY, 1)

    def _from_server() -> object:
        cache.local.copies.clear()
        return cache.get(Kind.WEDDING, ids, _load)

    found = {"local_us": _median_us(lambda: cache.get(Kind.WEDDING, ids, _load))}
    found["server_us"] = _median_us(_from_server)
    cache.close()
    return found


def _redis_py() -> dict[str, float]:
    client = redis.cache_server(decode=False)
    client.set(ENTRIES + "bare", orjson.dumps(BODY))
    return {"server_us": _median_us(lambda: client.get(ENTRIES + "bare"))}


def _dogpile() -> dict[str, float]:
    from dogpile.cache import make_region

    memory = make_region().configure("dogpile.cache.memory")
    server = make_region().configure(
        "dogpile.cache.redis", arguments={"url": settings.servers().cache_url, "distributed_lock": True}
    )
    for region in (memory, server):
        region.set("key", BODY)
    return {
        "local_us": _median_us(lambda: memory.get("key")),
        "get_or_create_us": _median_us(lambda: memory.get_or_create("key", lambda: BODY)),
        "server_us": _median_us(lambda: server.get("key")),
    }


def _cashews() -> dict[str, float]:
    return asyncio.run(_cashews_in_loop())


async def _cashews_in_loop() -> dict[str, float]:
    from cashews import Cache

    memory, server = Cache(), Cache()
    memory.setup("mem://")
    url = urlsplit(settings.servers().cache_url)
    server.setup(f"redis://:{url.password}@{url.hostname}:{url.port}/0", client_side=False)
    for cache in (memory, server):
        await cache.set("key", BODY, expire=600)

    async def _median(read: Callable[[], Awaitable[object]]) -> float:
        times = []
        for _ in range(READS):
            begun = clock.stopwatch()
            await read()
            times.append(clock.stopwatch() - begun)
        return median(times) * 1e6

    found = {
        "local_us": await _median(lambda: memory.get("key")),
        "server_us": await _median(lambda: server.get("key")),
    }
    await server.close()
    return found
