"""What is watched meanwhile: processor time and memory by process, servers' growth, jobs that are late."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import psutil  # type: ignore[import-untyped]
from sqlalchemy import text

from benchmarks import form
from benchmarks.saturday.world import World
from workers.foundation import clock
from workers.foundation.jobs import Record

#: Their messages wait in the queue `safety`.
SAFETY = (
    "balancing.watch_nodes",
    "connections.sweep",
    "connections.publish_levels",
    "alerts.check",
    "alerts.escalate",
    "alerts.watch",
)


def processes(world: World, supervisor: int | None = None) -> dict[str, list[psutil.Process]]:
    """Return our processes by what they are; those of a supervisor by their part of the Procfile."""
    found = {name: _family(psutil.Process(server.process.pid)) for name, server in world.servers.items()}
    for one in psutil.Process(supervisor).children() if supervisor else ():
        found[_named(one)] = _family(one)
    return found


def _family(one: psutil.Process) -> list[psutil.Process]:
    return [one, *one.children(recursive=True)]


def _named(one: psutil.Process) -> str:
    words = one.cmdline()
    if "-Q" in words:
        return f"worker-{words[words.index('-Q') + 1].partition(',')[0]}"
    line = " ".join(words)
    known = {"schedules.beat": "beat", "flower": "flower", "workers.http": "api"}
    return str(next((name for part, name in known.items() if part in line), words[-1]))


def cpu(found: dict[str, list[psutil.Process]]) -> dict[str, float]:
    """Return each one's processor seconds, those of children that ended as well."""
    return {name: sum(map(_spent, family)) for name, family in found.items()}


def _spent(one: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = one.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def rss_mb(found: dict[str, list[psutil.Process]]) -> dict[str, float]:
    """Return each one's memory of its own, in MB."""
    spent = {}
    for name, family in found.items():
        total = 0
        for one in family:
            with contextlib.suppress(psutil.Error):
                total += one.memory_full_info().uss
        spent[name] = round(total / 2**20, 1)
    return spent


def database_bytes() -> float:
    """Return how large the database is."""
    from workers.foundation import database

    with database.transaction() as db:
        return float(db.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def broker_bytes() -> float:
    """Return how much memory the broker's server uses."""
    from workers.foundation import redis

    return float(redis.registry().info("memory")["used_memory"])


@dataclass
class Lateness:
    """How late jobs were, in seconds: the longest gap of `balancing.watch_nodes`, waits by job."""

    gap: float = 0.0
    waited: dict[str, float] = field(default_factory=dict)
    dropped: int = 0

    def figures(self) -> form.Figures:
        """Return them as figures."""
        late = sum(1 for waited in self.waited.values() if waited > 5.0)
        return {
            "watch_nodes_gap_s": self.gap,
            "jobs_late": late + self.dropped,
            "longest_wait_s": max(self.waited.values(), default=0.0),
        }


@contextmanager
def lateness() -> Iterator[Lateness]:
    """Yield how late safety jobs are, watched ten times a second for the length of the block."""
    found, ended = Lateness(), Event()
    thread = Thread(target=_watch, args=(found, ended), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join(10)


def _watch(found: Lateness, ended: Event) -> None:
    begun, last, at = clock.epoch(), 0.0, clock.stopwatch()
    before = _records()
    while not ended.wait(0.1):
        records = _records()
        for name, record in records.items():
            if record.started >= begun:
                found.waited[name] = max(found.waited.get(name, 0.0), record.waited)
        if records[SAFETY[0]].finished != last:
            last, at = records[SAFETY[0]].finished, clock.stopwatch()
        found.gap = max(found.gap, clock.stopwatch() - at)
        found.dropped = sum(record.late - before[name].late for name, record in records.items())


def _records() -> dict[str, Record]:
    from workers.foundation import jobs

    return {record.name: record for record in jobs.records() if record.name in SAFETY}
