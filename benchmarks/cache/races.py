"""Processes that read and write the same entries while one after the other is killed.

python -m benchmarks.cache.races        is one of them, until it is ended
"""

import signal
import subprocess
import sys
from random import choice, random, randrange
from statistics import quantiles
from time import sleep

from workers.caching.formats import envelope
from workers.caching.rules.kinds import Kind, Policy
from workers.caching.store import server
from workers.caching.store.entries import Loaded
from workers.caching.store.layers import TwoLayers
from workers.foundation import clock, redis
from workers.processes.servers import die_with_parent

PROCESSES, ENTRIES, WRITES, KILL_EVERY = 4, 50, 0.1, 2.0
#: On the broker's server: the source's revisions, those that were published, what was counted, delays.
SOURCE, PUBLISHED, COUNTED, DELAYS = "bench:source", "bench:published", "bench:counted", "bench:delays"
BODY = {"starts_at": "x", "ends_at": "x", "region": "x", "timeline": {}}


class Racer:
    """One process."""

    def __init__(self) -> None:
        """Begin to hear of changes."""
        self.cache = TwoLayers(Policy())
        self.cache.is_ready(within=10)
        self.broker = redis.registry()
        self.operations = self.wrong = 0

    def run(self) -> None:
        """Read and write until killed."""
        while True:
            wedding = f"w-{randrange(ENTRIES)}"
            if random() < WRITES:
                self._write(wedding)
            else:
                self._read(wedding)
            self.operations += 1
            if self.operations == 20:
                self.broker.hincrby(COUNTED, "operations", self.operations)
                self.broker.hincrby(COUNTED, "wrong", self.wrong)
                self.operations = self.wrong = 0

    def _write(self, wedding: str) -> None:
        revision = int(self.broker.hincrby(SOURCE, wedding, 1))
        sleep(random() / 1000)
        server.invalidate([f"wedding:{wedding}"], revision)
        self.broker.zadd(PUBLISHED, {wedding: revision}, gt=True)

    def _read(self, wedding: str) -> None:
        heard = self.cache.local.heard((Kind.WEDDING, (wedding,)))
        copy = self.cache.get(Kind.WEDDING, (wedding,), lambda: self._load(wedding))
        self.wrong += copy.revision < heard

    def _load(self, wedding: str) -> Loaded:
        revision = int(self.broker.hget(SOURCE, wedding) or 0)
        # The gap in which the source changes behind who has just read it.
        sleep(random() / 500)
        return Loaded(BODY, revision)


def race(operations: int) -> dict[str, float]:
    """Have processes race until they did so many operations; return what went wrong."""
    broker, kills, stale = redis.registry(), 0, 0
    broker.delete(SOURCE, PUBLISHED, COUNTED)
    racers = [_start("race") for _ in range(PROCESSES)]
    killed_at = clock.stopwatch()
    try:
        while int(broker.hget(COUNTED, "operations") or 0) < operations:
            sleep(0.02)
            stale += _stale()
            if clock.stopwatch() - killed_at > KILL_EVERY:
                killed_at, kills = clock.stopwatch(), kills + 1
                victim = choice(racers)
                victim.kill()
                victim.wait()
                racers[racers.index(victim)] = _start("race")
    finally:
        _end(racers)
    sleep(2.5)
    counted = {name: int(value) for name, value in broker.hgetall(COUNTED).items()}
    return {
        "race_operations": counted["operations"],
        "race_kills": kills,
        "wrong_reads": counted["wrong"],
        "stale_fills": stale + _stale(),
    }


def _stale() -> int:
    """Return how many entries are older than what was published before they are looked at."""
    published = redis.registry().zrange(PUBLISHED, 0, -1, withscores=True)
    names = {f"wedding:{wedding}": revision for wedding, revision in published}
    found = server.get_all(list(names))
    return sum(envelope.read(name, text).revision < names[name] for name, text in found.items())


def seen_p99_ms(changes: int = 1_000) -> float:
    """Return after how many ms 99 % of changes were heard of by other processes."""
    broker = redis.registry()
    broker.delete(DELAYS)
    listeners = [_start("listen") for _ in range(PROCESSES)]
    try:
        sleep(3)
        for _ in range(changes):
            server.invalidate(["wedding:w-seen"], int(clock.epoch() * 1e6))
            sleep(0.005)
        sleep(1)
    finally:
        _end(listeners)
    delays = [float(one) for one in broker.lrange(DELAYS, 0, -1)]
    return round(quantiles(delays, n=100)[98], 2)


def _listen() -> None:
    """Note after how long each change was heard of: its revision is its moment in µs."""
    cache, broker = TwoLayers(Policy()), redis.registry()
    drop = cache.local.drop

    def _noting(names: list[tuple[str, tuple[str, ...]]], revision: int) -> None:
        drop(names, revision)
        broker.rpush(DELAYS, (clock.epoch() * 1e6 - revision) / 1000)

    cache.local.drop = _noting  # type: ignore[method-assign, assignment]
    signal.pause()


def _start(what: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "benchmarks.cache.races", what]
    return subprocess.Popen(command, preexec_fn=die_with_parent(signal.SIGKILL))


def _end(processes: "list[subprocess.Popen[bytes]]") -> None:
    for one in processes:
        one.kill()
        one.wait()


if __name__ == "__main__":
    Racer().run() if sys.argv[1] == "race" else _listen()
