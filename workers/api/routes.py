"""Health that tells the truth, and everything Prometheus wants."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import text

from workers.connections import store as connections
from workers.foundation import database, heartbeat, jobs, logs, queues, redis, telemetry
from workers.foundation.errors import Anticipated


@asynccontextmanager
async def _life(_api: FastAPI) -> AsyncIterator[None]:
    logs.configure()
    heartbeat.keep()
    yield


api = FastAPI(title="wedops", lifespan=_life, docs_url=None, redoc_url=None)


@api.get("/healthz")
def healthz() -> dict[str, str]:
    """Say that this process answers."""
    return {"status": "ok"}


@api.get("/readyz")
def readyz(response: Response) -> dict[str, str]:
    """Say which part is away; 503 when one is."""
    parts = {"broker": _answers(redis.registry), "cache": _answers(redis.cache_server), "database": _database()}
    if set(parts.values()) != {"ok"}:
        response.status_code = 503
    return parts


@api.get("/metrics")
def metrics() -> Response:
    """Return what the workers counted, and gauges read now."""
    registry = telemetry.collector()
    registry.register(_Now())
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _answers(client: Callable[[], redis.Client]) -> str:
    try:
        client().ping()
    except redis.UNREACHABLE:
        return "away"
    return "ok"


def _database() -> str:
    try:
        with database.transaction() as db:
            db.execute(text("SELECT 1"))
    except Anticipated:
        return "away"
    return "ok"


class _Now(Collector):
    """Gauges that are read when Prometheus asks; a Redis that is away has none."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield connections, queues and jobs."""
        try:
            waiting, records, total = queues.lengths_and_ages(), jobs.records(), connections.total()
        except redis.UNREACHABLE:
            yield GaugeMetricFamily("wedops_redis_up", "Whether the registry answers", 0)
            return
        yield GaugeMetricFamily("wedops_redis_up", "Whether the registry answers", 1)
        yield GaugeMetricFamily("wedops_connections", "Open connections", total)
        depth = GaugeMetricFamily("wedops_queue_depth", "Messages that wait", labels=["queue"])
        age = GaugeMetricFamily("wedops_queue_oldest_seconds", "Age of the oldest that waits", labels=["queue"])
        for queue in waiting:
            depth.add_metric([queue.name], queue.depth)
            age.add_metric([queue.name], queue.oldest)
        finished = GaugeMetricFamily("wedops_job_finished_seconds", "When a job last finished, since 1970", labels=["job"])
        unanswered = GaugeMetricFamily("wedops_job_unanswered", "Firings since a job last finished", labels=["job"])
        for record in records:
            finished.add_metric([record.name], record.finished)
            unanswered.add_metric([record.name], record.unanswered)
        yield from (depth, age, finished, unanswered)
