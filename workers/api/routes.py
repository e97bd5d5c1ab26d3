"""Health that tells the truth, and everything Prometheus wants."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from workers.api.gauges import Now
from workers.foundation import database, heartbeat, logs, redis, telemetry
from workers.foundation.errors import Anticipated


@asynccontextmanager
async def _life(_api: FastAPI) -> AsyncIterator[None]:
    logs.configure()
    pulse = asyncio.create_task(heartbeat.pulse())
    yield
    pulse.cancel()


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
    registry.register(Now())
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
