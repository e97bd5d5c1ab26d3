"""Gauges that are read when Prometheus asks."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from workers.balancing import usecases as balancing
from workers.connections.usecases import users as connections
from workers.foundation import circuits, jobs, queues, redis


class Now(Collector):
    """Connections, queues and jobs as they are now; a Redis that is unavailable has none."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield whether Redis answers, and if so all that it knows."""
        up = GaugeMetricFamily("wedops_redis_up", "Whether the registry answers")
        try:
            gauges = [_connections(), *_queues(), *_jobs(), *_nodes(), *_circuits()]
        except redis.UNREACHABLE:
            gauges = []
        up.add_metric([], bool(gauges))
        yield from (up, *gauges)


def _connections() -> GaugeMetricFamily:
    return GaugeMetricFamily("wedops_connections", "Open connections", connections.total())


def _nodes() -> Iterator[GaugeMetricFamily]:
    facts = ("connections", "capacity", "cpu", "memory", "network")
    gauges = {
        fact: GaugeMetricFamily(f"wedops_node_{fact}", f"A node's {fact}", labels=["node", "region"])
        for fact in facts
    }
    up = GaugeMetricFamily("wedops_node_up", "Whether a node reports", labels=["node", "region"])
    for node in balancing.nodes():
        up.add_metric([node.name, node.region], not node.out)
        for fact, gauge in gauges.items():
            gauge.add_metric([node.name, node.region], getattr(node, fact))
    yield from (up, *gauges.values())


def _circuits() -> Iterator[GaugeMetricFamily]:
    closed = GaugeMetricFamily(
        "wedops_circuit_closed", "Whether a dependency is called (1) or left alone (0)", labels=["dependency"]
    )
    for circuit in circuits.known():
        closed.add_metric([circuit.dependency], circuit.state == "closed")
    yield closed


def _queues() -> Iterator[GaugeMetricFamily]:
    depth = GaugeMetricFamily("wedops_queue_depth", "Messages that wait", labels=["queue"])
    age = GaugeMetricFamily("wedops_queue_oldest_seconds", "Age of the oldest that waits", labels=["queue"])
    for queue in queues.lengths_and_ages():
        depth.add_metric([queue.name], queue.depth)
        age.add_metric([queue.name], queue.oldest)
    yield from (depth, age)


def _jobs() -> Iterator[GaugeMetricFamily]:
    finished = GaugeMetricFamily(
        "wedops_job_finished_seconds", "When a job last finished, since 1970", labels=["job"]
    )
    unanswered = GaugeMetricFamily(
        "wedops_job_unanswered", "Firings since a job last finished", labels=["job"]
    )
    for record in jobs.records():
        finished.add_metric([record.name], record.finished)
        unanswered.add_metric([record.name], record.unanswered)
    yield from (finished, unanswered)
