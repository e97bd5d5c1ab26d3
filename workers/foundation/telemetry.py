"""What all rooms count for Prometheus, and how it is whole across prefork children.

A room's own is in its `telemetry.py`. PROMETHEUS_MULTIPROC_DIR is set by who starts us: metrics are declared
after this module set up where they are kept.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, multiprocess, values

from workers.foundation import clock, logs

log = logs.get("telemetry")

#: In seconds: an older file that can't be read is of a process that died while it wrote, not of one that
#: begins.
_SPOILT_AFTER = 60


def _readable(path: str) -> bool:
    try:
        multiprocess.MultiProcessCollector.merge([path])  # type: ignore[no-untyped-call]
    except Exception:
        return False
    return True


def _prepare(folder: Path) -> None:
    """Make the folder, and take out files that were cut off.

    Who writes to such a one would fail at its first count.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.db"):
        with suppress(OSError):
            if clock.epoch() - path.stat().st_mtime > _SPOILT_AFTER and not _readable(str(path)):
                path.unlink()


class _Collector(multiprocess.MultiProcessCollector):
    """Sums over all processes; a file that can't be read costs its own counts, and is said."""

    def collect(self) -> Any:
        files = [str(path) for path in Path(self._path).glob("*.db")]
        found = [path for path in files if _readable(path)]
        for path in set(files) - set(found):
            log.warning("counts not readable", file=Path(path).name, reason="spoilt")
        return self.merge(found, accumulate=True)  # type: ignore[no-untyped-call]


if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    # Below /run it is gone after each start of the machine.
    _prepare(Path(folder))
    # Containers that share the folder have the same pids: the host's name tells their files apart.
    values.ValueClass = values.MultiProcessValue(lambda: f"{socket.gethostname()}-{os.getpid()}")  # type: ignore[no-untyped-call]

tasks = Counter("wedops_tasks", "Tasks by name and how they ended", ["task", "outcome"])
task_seconds = Histogram(
    "wedops_task_seconds", "Run time of a task", ["task"], buckets=(0.005, 0.025, 0.1, 0.5, 2, 10, 30)
)
task_wait_seconds = Histogram(
    "wedops_task_wait_seconds", "From enqueue to start", ["queue"], buckets=(0.01, 0.05, 0.2, 1, 5, 30, 300)
)
background_failures = Counter(
    "wedops_background_failures", "Failures of work beside a process's main one", ["work"]
)
refusals = Counter("wedops_refusals", "What was refused, and why", ["what", "reason"])
decisions = Counter("wedops_decisions", "Decisions by room and reason", ["room", "reason"])


def collector() -> CollectorRegistry:
    """Return a registry that sums over all processes that share the directory."""
    sums = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        _Collector(sums)  # type: ignore[no-untyped-call]
    return sums
