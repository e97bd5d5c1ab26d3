"""The health sweep: ending what is stale among N connections, with every index and count kept right.

Ours is `upkeep.sweep`, as the task calls it. Peers, each on a server of its own with a hash a connection:
`scan_hgetall` reads every connection one by one, `pipelined` a page at a time; both delete what is stale and
keep no counts. They are measured once, whatever the number of runs. `idle_ms` is a sweep when nothing is
stale. `stall_p99_ms` is how long a PING from another process takes while it runs.
"""

import multiprocessing
from functools import cache
from multiprocessing.connection import Connection as Pipe
from statistics import median
from time import sleep
from typing import Any

import numpy as np
from redis import Redis

from benchmarks import crowd, form

IDLE_SWEEPS = 50


def main() -> None:
    """Print the figures."""
    options = form.parser(5)
    options.add_argument("--connections", type=int, default=1_000_000)
    options.add_argument("--stale", type=float, default=0.05)
    options.add_argument(
        "--peers", type=int, default=None, help="connections of the peers' servers; by default as many"
    )
    given = options.parse_args()
    with form.broker({"maxmemory": "4gb"}) as url:
        load, ours = _loader(given.connections), _Ours(url, given.stale)
        contestants = {"ours": lambda: ours.measure(load())}
        peers = given.peers or given.connections
        contestants |= {
            name: cache(lambda n=name: _peer(n, peers, given.stale)) for name in ("scan_hgetall", "pipelined")
        }
        form.main("sweep", contestants, _ratios, runs=5, options=given)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    def each(name: str) -> float:
        return medians[name]["sweep_s"] / medians[name]["connections"]

    return {f"{name}_over_ours": each(name) / each("ours") for name in medians if name != "ours"}


def _loader(count: int) -> Any:
    @cache
    def load() -> tuple[list[str], float]:
        from workers.foundation import redis

        form.emptied()
        _without_rates()
        before = redis.connections().info("memory")["used_memory"]
        refs = crowd.open_all(crowd.people(count))
        return refs, (redis.connections().info("memory")["used_memory"] - before) / count

    return load


def _without_rates() -> None:
    from workers.connections.store import registry as store

    store.each(
        store.shards(), "wedops_limit", len(store.shards()), '{"user": 5, "supplier": 1000, "pool": 1000000}'
    )


class _Ours:
    def __init__(self, url: str, stale: float) -> None:
        self.url, self.stale, self.run = url, stale, 0

    def measure(self, loaded: tuple[list[str], float]) -> form.Figures:
        from workers.connections.store import registry as store
        from workers.connections.store import upkeep
        from workers.foundation import clock

        refs, size = loaded
        # The peers' turns take minutes: whoever is not to be ended lives.
        store.heartbeat(refs)
        idle = [_timed(upkeep.sweep)[0] * 1000 for _ in range(IDLE_SWEEPS)]
        lost = refs[self.run :: round(1 / self.stale)]
        crowd.lose(lost)
        with _Pings(self.url) as pings:
            begun = clock.stopwatch()
            ended = upkeep.sweep()
            seconds = clock.stopwatch() - begun
        if ended != len(lost) or upkeep.audit().drifts:
            raise AssertionError(f"{ended} of {len(lost)} ended, or a count drifted")
        self._bring_back(set(lost), len(refs))
        return {
            "sweep_s": seconds,
            "idle_ms": median(idle),
            "stall_p99_ms": float(np.quantile(pings.took, 0.99)) * 1000,
            "stall_max_ms": max(pings.took) * 1000,
            "bytes_per_connection": size,
            "ended": ended,
            "connections": len(refs),
        }

    def _bring_back(self, refs: set[str], count: int) -> None:
        self.run += 1
        crowd.open_all(one for one in crowd.people(count) if one.ref in refs)


def _timed(call: Any) -> tuple[float, Any]:
    from workers.foundation import clock

    begun = clock.stopwatch()
    answer = call()
    return clock.stopwatch() - begun, answer


class _Pings:
    """Pings a server from a process of its own for the length of the block."""

    def __init__(self, url: str) -> None:
        self.here, there = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=_ping, args=(url, there), daemon=True
        )
        self.took: list[float] = []

    def __enter__(self) -> "_Pings":
        self.process.start()
        self.here.recv()
        return self

    def __exit__(self, *_error: object) -> None:
        self.here.send("enough")
        self.took = self.here.recv()
        self.process.join()


def _ping(url: str, pipe: Pipe) -> None:
    client, took = Redis.from_url(url), []
    client.ping()
    pipe.send("ready")
    while not pipe.poll():
        took.append(_timed(client.ping)[0])
        sleep(0.0005)
    pipe.send(took)


def _peer(name: str, count: int, stale: float) -> form.Figures:
    with form.broker({"appendonly": "no", "maxmemory": "4gb"}, shared=False) as url:
        client = Redis.from_url(url, decode_responses=True)
        every = round(1 / stale)
        with client.pipeline(transaction=False) as pipe:
            for number, one in enumerate(crowd.people(count)):
                facts: Any = {
                    key: value for key, value in vars(one).items() if isinstance(value, str) and key != "id"
                }
                pipe.hset(
                    f"conn:{one.id}", mapping=facts | {"last_activity": 1 if number % every == 0 else 5e12}
                )
                if number % 2_000 == 0:
                    pipe.execute()
            pipe.execute()
        seconds, ended = _timed(lambda: (_one_by_one if name == "scan_hgetall" else _by_page)(client))
        if ended != -(-count // every):
            raise AssertionError(f"{ended} ended")
    return {"sweep_s": seconds, "connections": count}


def _one_by_one(client: Any) -> int:
    ended = 0
    for key in client.scan_iter(match="conn:*", count=1_000):
        if float(client.hgetall(key)["last_activity"]) < 1e12:
            ended += client.delete(key)
    return ended


def _by_page(client: Any) -> int:
    ended, cursor = 0, None
    while cursor != 0:
        cursor, keys = client.scan(cursor or 0, match="conn:*", count=1_000)
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(key, "last_activity")
            stale = [key for key, [at] in zip(keys, pipe.execute(), strict=True) if float(at) < 1e12]
        ended += client.delete(*stale) if stale else 0
    return ended


if __name__ == "__main__":
    main()
