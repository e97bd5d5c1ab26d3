"""Reads of 500 bytes of JSON, medians in microseconds, ours and its peers in turns."""

import asyncio
import sys
from collections.abc import Callable
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
#: So many reads of each in turns of so many: the machine is as fast for one as for the other.
READS, TURN = 5_000, 200

#: Reads so often, and returns how many seconds each took.
Reads = Callable[[int], list[float]]


def measure(runs: int) -> dict[str, dict[str, float]]:
    """Return the medians by contestant: a hit in memory, a hit in the server."""
    contestants = {"ours": _ours(), "redis_py": _redis_py()}
    contestants |= {name: made() for name, made in _installed().items()}
    times = {name: {figure: list[float]() for figure in reads} for name, reads in contestants.items()}
    turns = [(name, figure, read) for name, reads in contestants.items() for figure, read in reads.items()]
    for _ in range(runs * READS // TURN):
        for name, figure, read in turns:
            times[name][figure] += read(TURN)
    return {
        name: {figure: round(median(own) * 1e6, 2) for figure, own in figures.items()}
        for name, figures in times.items()
    }


def _timed(read: Callable[[], object]) -> Reads:
    def _reads(many: int) -> list[float]:
        times = []
        for _ in range(many):
            begun = clock.stopwatch()
            read()
            times.append(clock.stopwatch() - begun)
        return times

    return _reads


def _installed() -> dict[str, Callable[[], dict[str, Reads]]]:
    found = {}
    for name, module, one in (("dogpile", "dogpile.cache", _dogpile), ("cashews", "cashews", _cashews)):
        if find_spec(module.partition(".")[0]):
            found[name] = one
        else:
            print(f"cache: no {module} to compare with (pip install {module})", file=sys.stderr)
    return found


def _ours() -> dict[str, Reads]:
    cache = TwoLayers(Policy(wedding_ttl=timedelta(seconds=600)))
    cache.is_ready()
    ids = ("w-speed",)

    def _load() -> Loaded:
        return Loaded(BODY, 1)

    def _from_server() -> object:
        cache.local.copies.clear()
        return cache.get(Kind.WEDDING, ids, _load)

    return {
        "local_us": _timed(lambda: cache.get(Kind.WEDDING, ids, _load)),
        "server_us": _timed(_from_server),
    }


def _redis_py() -> dict[str, Reads]:
    client = redis.cache_server(decode=False)
    client.set(ENTRIES + "bare", orjson.dumps(BODY))
    return {"server_us": _timed(lambda: client.get(ENTRIES + "bare"))}


def _dogpile() -> dict[str, Reads]:
    from dogpile.cache import make_region

    memory = make_region().configure("dogpile.cache.memory")
    server = make_region().configure(
        "dogpile.cache.redis", arguments={"url": settings.servers().cache_url, "distributed_lock": True}
    )
    for region in (memory, server):
        region.set("dogpile", BODY)
    return {
        "local_us": _timed(lambda: memory.get("dogpile")),
        "get_or_create_us": _timed(lambda: memory.get_or_create("dogpile", lambda: BODY)),
        "server_us": _timed(lambda: server.get("dogpile")),
    }


def _cashews() -> dict[str, Reads]:
    from cashews import Cache

    loop, memory, server = asyncio.new_event_loop(), Cache(), Cache()
    memory.setup("mem://")
    url = urlsplit(settings.servers().cache_url)
    server.setup(f"redis://:{url.password}@{url.hostname}:{url.port}/0", client_side=False)
    for cache in (memory, server):
        loop.run_until_complete(cache.set("cashews", BODY, expire=600))

    async def _reads(cache: Cache, many: int) -> list[float]:
        times = []
        for _ in range(many):
            begun = clock.stopwatch()
            await cache.get("cashews")
            times.append(clock.stopwatch() - begun)
        return times

    return {
        "local_us": lambda many: loop.run_until_complete(_reads(memory, many)),
        "server_us": lambda many: loop.run_until_complete(_reads(server, many)),
    }
