"""The registry's speed: heartbeats in batches, and admissions one call each with all limits on.

Heartbeats: refs a second through `store.heartbeat` (1,000 a call). Peers: `one_call_each` (the same function,
pipelined, a ref a call), `zadd_hset` (a sorted set and a hash of one's own, pipelined; nobody checks that the
connection is known). Admissions: `wedops_open` with rates and limits, from 4 sockets that each wait for their
answer. Peer: `checked_by_client`, which reads the counts, decides and writes in two round trips, and is not
atomic. `per_cpu_s` is by the server's processor time.
"""

import json
import selectors
import socket
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, cast
from urllib.parse import urlsplit

import numpy as np

from benchmarks import crowd, form
from workers.connections import keys
from workers.connections.store.registry import Connection
from workers.foundation import clock

PEOPLE, ROUNDS, ADMISSIONS, SOCKETS = 50_000, 8, 20_000, 4


def main() -> None:
    """Print the figures."""
    with form.broker({"maxmemory": "4gb"}) as url:
        bench = _Bench(url)
        peers = {name: getattr(bench, name) for name in ("one_call_each", "zadd_hset", "checked_by_client")}
        form.main("registry", {"ours": bench.ours} | peers, _ratios, runs=5)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    ours = medians["ours"]
    ratios = {
        name: ours["heartbeats_per_s"] / medians[name]["heartbeats_per_s"]
        for name in ("one_call_each", "zadd_hset")
    }
    admissions = ours["admissions_per_s"] / medians["checked_by_client"]["admissions_per_s"]
    return {f"heartbeats_over_{name}": ratio for name, ratio in ratios.items()} | {
        "admissions_over_client": admissions
    }


class _Bench:
    def __init__(self, url: str) -> None:
        from workers.foundation import redis

        self.url, self.redis = url, redis

    def ours(self) -> form.Figures:
        from workers.connections.store import registry as store

        refs = self._opened()
        beats = self._timed(
            lambda: [store.heartbeat(refs) for _ in range(ROUNDS)], ROUNDS * len(refs), "heartbeats"
        )
        return beats | self._admissions()

    def one_call_each(self) -> form.Figures:
        from workers.connections.store import registry as store

        refs = self._opened()[: PEOPLE // 2]

        def beat() -> None:
            for some in _pages(iter(refs), 1_000):
                with self.redis.connections().pipeline(transaction=False) as pipe:
                    for ref in some:
                        pipe.fcall("wedops_heartbeat", 1, keys.shard(store.tenant_of(ref), 64), ref)
                    pipe.execute()

        return self._timed(beat, len(refs), "heartbeats")

    def zadd_hset(self) -> form.Figures:
        refs = self._opened()[: PEOPLE // 2]

        def beat() -> None:
            for some in _pages(iter(refs), 1_000):
                with self.redis.connections().pipeline(transaction=False) as pipe:
                    for ref in some:
                        pipe.zadd("peer:active", {ref: 1.0})
                        pipe.hset(f"peer:{ref}", "seen", 1)
                    pipe.execute()

        beat()
        return self._timed(beat, len(refs), "heartbeats")

    def checked_by_client(self) -> form.Figures:
        form.emptied()
        client: Any = self.redis.connections()
        took: list[float] = []

        def admit(one: Connection) -> None:
            begun = clock.stopwatch()
            with client.pipeline(transaction=False) as pipe:
                pipe.hlen(f"peer:user:{one.user_id}")
                pipe.hget("peer:counts", one.wedding_id)
                mine, _ = pipe.execute()
            if mine < 5:
                with client.pipeline(transaction=False) as pipe:
                    pipe.hset(f"peer:user:{one.user_id}", one.id, one.node)
                    pipe.hset(
                        f"peer:c:{one.id}", mapping={k: v for k, v in vars(one).items() if isinstance(v, str)}
                    )
                    pipe.zadd("peer:active", {one.id: begun})
                    for name in (one.wedding_id, one.node, one.region, one.user_type):
                        pipe.hincrby("peer:counts", name, 1)
                    pipe.execute()
            took.append(clock.stopwatch() - begun)

        people = list(crowd.people(ADMISSIONS // 4))
        figures = self._timed(lambda: deque(map(admit, people), 0), len(people), "admissions")
        return figures | {"admission_p99_ms": float(np.quantile(took, 0.99)) * 1000}

    def _opened(self) -> list[str]:
        form.emptied()
        _lenient()
        return crowd.open_all(crowd.people(PEOPLE))

    def _admissions(self) -> form.Figures:
        form.emptied()
        _lenient()
        calls = deque(_command(*crowd.request(one)) for one in crowd.people(ADMISSIONS))
        took: list[float] = []
        figures = self._timed(lambda: _send(self.url, calls, took), ADMISSIONS, "admissions")
        return figures | {"admission_p99_ms": float(np.quantile(took, 0.99)) * 1000}

    def _timed(self, work: Callable[[], object], done: int, what: str) -> form.Figures:
        cpu, begun = self._cpu(), clock.stopwatch()
        work()
        seconds, used = clock.stopwatch() - begun, self._cpu() - cpu
        return {f"{what}_per_s": done / seconds, f"{what}_per_cpu_s": done / used}

    def _cpu(self) -> float:
        used = self.redis.connections().info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _lenient() -> None:
    """Have every limit and rate checked, and none reached: the crowd comes all at once."""
    from workers.connections.store import registry as store

    rates = {f"{who}_every": 1 for who in ("user", "supplier", "address")}
    rates |= {f"{who}_burst": 100_000 for who in ("user", "supplier", "address")}
    limits = {"user": 5, "supplier": 200, "pool": 1_000_000, "shares": {"guest": 0.9, "vendor": 0.97}}
    common = json.dumps(limits | rates)
    store.each(store.shards(), "wedops_limit", len(store.shards()), common)


def _pages(things: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while page := list(islice(things, size)):
        yield page


def _command(shard: str, request: bytes) -> bytes:
    words = (b"FCALL", b"wedops_open", b"1", shard.encode(), request)
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _send(url: str, calls: "deque[bytes]", took: list[float]) -> None:
    """Send every call, one at a time on each of the sockets; remember how long each took."""
    address, waiting = urlsplit(url), selectors.DefaultSelector()
    for _ in range(SOCKETS):
        sock = socket.create_connection((address.hostname, address.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        password = (address.password or "").encode()
        sock.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%b\r\n" % (len(password), password))
        sock.recv(64)
        waiting.register(sock, selectors.EVENT_READ, [clock.stopwatch()])
        sock.sendall(calls.popleft())
    left = len(calls) + SOCKETS
    while left:
        for key, _ in waiting.select():
            sock, started = cast("socket.socket", key.fileobj), key.data
            answer = sock.recv(4096)
            if b'"ok":true' not in answer:
                raise AssertionError(answer)
            now = clock.stopwatch()
            took.append(now - started[0])
            left -= 1
            if calls:
                started[0] = now
                sock.sendall(calls.popleft())
    for key in list(waiting.get_map().values()):
        cast("socket.socket", key.fileobj).close()


if __name__ == "__main__":
    main()
