"""Prometheus metrics, whole across prefork children (PROMETHEUS_MULTIPROC_DIR is set by who starts us)."""

import os
import socket
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess, values

if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    # Below /run it is gone after each start of the machine.
    Path(folder).mkdir(parents=True, exist_ok=True)
    # Containers that share the folder have the same pids: the host's name tells their files apart.
    values.ValueClass = values.MultiProcessValue(lambda: f"{socket.gethostname()}-{os.getpid()}")  # type: ignore[no-untyped-call]

tasks = Counter("wedops_tasks", "Tasks by name and how they ended", ["task", "outcome"])
task_seconds = Histogram("wedops_task_seconds", "Run time of a task", ["task"], buckets=(0.005, 0.025, 0.1, 0.5, 2, 10, 30))
task_wait_seconds = Histogram(
    "wedops_task_wait_seconds", "From enqueue to start", ["queue"], buckets=(0.01, 0.05, 0.2, 1, 5, 30, 300)
)
background_failures = Counter("wedops_background_failures", "Failures of work beside a process's main one", ["work"])
refusals = Counter("wedops_refusals", "What was refused, and why", ["what", "reason"])
admissions = Counter("wedops_admissions", "Requests that got a connection: opened, or reused", ["how"])
quality = Gauge(
    "wedops_node_quality", "Mean quality score (0-100) of a node's connections", ["node"], multiprocess_mode="mostrecent"
)
messages = Counter("wedops_messages", "Messages of connections", ["region"])
message_errors = Counter("wedops_message_errors", "Messages that failed", ["region"])
message_bytes = Counter("wedops_message_bytes", "Bytes of messages", ["region"])
subscriptions = Gauge("wedops_subscriptions", "Channels that connections have", ["region"], multiprocess_mode="mostrecent")
rtt_ms = Gauge("wedops_rtt_ms", "Round-trip time, ms", ["region", "quantile"], multiprocess_mode="mostrecent")
samples = Counter("wedops_samples", "Samples by who sent them: accepted, refused, written, double", ["source", "what"])
decisions = Counter("wedops_decisions", "Decisions by room and reason", ["room", "reason"])


def collector() -> CollectorRegistry:
    """Return a registry that sums over all processes that share the directory."""
    sums = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(sums)  # type: ignore[no-untyped-call]
    return sums
