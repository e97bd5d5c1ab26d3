"""Prometheus metrics, whole across prefork children (PROMETHEUS_MULTIPROC_DIR is set by who starts us)."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, multiprocess

tasks = Counter("wedops_tasks", "Tasks by name and how they ended", ["task", "outcome"])
task_seconds = Histogram("wedops_task_seconds", "Run time of a task", ["task"], buckets=(0.005, 0.025, 0.1, 0.5, 2, 10, 30))
task_wait_seconds = Histogram(
    "wedops_task_wait_seconds", "From enqueue to start", ["queue"], buckets=(0.01, 0.05, 0.2, 1, 5, 30, 300)
)
refusals = Counter("wedops_refusals", "What was refused, and why", ["what", "reason"])
decisions = Counter("wedops_decisions", "Decisions by room and reason", ["room", "reason"])


def collector() -> CollectorRegistry:
    """Return a registry that sums over all processes that share the directory."""
    sums = CollectorRegistry()
    if directory := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        Path(directory).mkdir(parents=True, exist_ok=True)
        multiprocess.MultiProcessCollector(sums)  # type: ignore[no-untyped-call]
    return sums


def forget(pid: int) -> None:
    """Close the live gauges of a child that ended."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
