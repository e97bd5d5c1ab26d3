"""Gauges that are read when Prometheus asks."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from workers.connections import store as connections
from workers.foundation import jobs, queues, redis


class Now(Collector):
    """Connections, queues and jobs as they are now; a Redis that is away has none."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield whether Redis answers, and if so all that it knows."""
        up = GaugeMetricFamily("wedops_redis_up", "Whether the registry answers")
        try:
            gauges = [_connections(), *_queues(), *_jobs()]
        except redis.UNREACHABLE:
            gauges = []
        up.add_metric([], bool(gauges))
        yield from (up, *gauges)


def _connections() -> GaugeMetricFamily:
    return GaugeMetricFamily("wedops_connections", "Open connections", connections.total())


def _queues() -> Iterator[GaugeMetricFamily]:
    depth = GaugeMetricFamily("wedops_queue_depth", "Messages that wait", labels=["queue"])
    age = GaugeMetricFamily("wedops_queue_oldest_seconds", "Age of the oldest that waits", labels=["queue"])
    for queue in queues.lengths_and_ages():
        depth.add_metric([queue.name], queue.depth)
        age.add_metric([queue.name], queue.oldest)
    yield from (depth, age)


def _jobs() -> Iterator[GaugeMetricFamily]:
    finished = GaugeMetricFamily("wedops_job_finished_seconds", "When a job last finished, since 1970", labels=["job"])
    unanswered = GaugeMetricFamily("wedops_job_unanswered", "Firings since a job last finished", labels=["job"])
    for record in jobs.records():
        finished.add_metric([record.name], record.finished)
        unanswered.add_metric([record.name], record.unanswered)
    yield from (finished, unanswered)
