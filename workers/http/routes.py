"""Health that tells the truth, and everything Prometheus wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from secrets import compare_digest
from threading import Event
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.gzip import GZipMiddleware

from workers.access.rules.edge import Policy
from workers.balancing import usecases as balancing
from workers.balancing.adapters import supabase
from workers.balancing.rules import Route
from workers.caching import routes as caching_routes
from workers.connections.routes import Holder
from workers.connections.usecases import permits
from workers.delivery import routes as delivery_routes
from workers.foundation import background, clock, database, heartbeat, logs, settings, telemetry
from workers.foundation.errors import ExpectedError
from workers.http import problems
from workers.http.bodies import BodyLimit
from workers.http.gauges import Now
from workers.http.headers import Headers
from workers.http.health import Checks
from workers.http.problems import Problem
from workers.http.readers import READERS
from workers.http.v1 import commands, days, emergencies, messages, system, timelines, weddings
from workers.measurements import routes as measurement_routes
from workers.scaling.rules.policy import Policy as ScalingPolicy
from workers.scaling.rules.policy import Resource
from workers.scaling.usecases import modes
from workers.wedding_day import routes as wedding_day_routes
from workers.weddings import routes as weddings_routes
from workers.weddings.rules.calendar import EVERYWHERE


class NothingDesired(ExpectedError):
    """nothing is to be applied for {resource} of region={region!r}: it is unknown, only watched, or never
    had to change"""

    http_status = 404


@asynccontextmanager
async def _life(_api: FastAPI) -> AsyncIterator[None]:
    logs.configure()
    pulse = asyncio.create_task(background.kept("heartbeat", heartbeat.pulse))
    checks, ended = _checks(), Event()
    permits.follow(ended)
    yield
    ended.set()
    checks.stop()
    _checks.cache_clear()
    pulse.cancel()


settings.settle_environment()
REFUSED: dict[str, Any] = {"model": Problem, "description": "what was not done, and why"}
api = FastAPI(
    title="wedops",
    version="1",
    summary="Realtime operations of weddings",
    lifespan=_life,
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
    responses={"4XX": REFUSED, 422: REFUSED},
)
problems.install(api)
api.include_router(measurement_routes.router)
api.include_router(delivery_routes.router)
api.include_router(caching_routes.router)
api.include_router(wedding_day_routes.router)
api.include_router(weddings_routes.router, dependencies=READERS)
for _room in (commands, days, emergencies, messages, system, timelines, weddings):
    api.include_router(_room.router)


@api.get("/livez")
async def livez() -> dict[str, str]:
    """Say that this process answers.

    Who restarts it asks here. On the loop: threads may all wait for a server.
    """
    return {"status": "ok"}


@api.get("/healthz")
async def healthz(response: Response) -> dict[str, str]:
    """Say whether what comes in can be kept: 503 when broker or database takes no write."""
    return _response(await _checks().answers("broker", "database"), response)


@api.get("/readyz")
async def readyz(response: Response) -> dict[str, str]:
    """Say of each part whether it does its work.

    503 when a server takes no write, or beat or a queue stands still.
    """
    return _response(await _checks().answers(), response)


@api.get("/openapi.json", dependencies=READERS, include_in_schema=False)
def openapi() -> dict[str, Any]:
    """Return what the API offers."""
    return api.openapi()


@api.get("/metrics", dependencies=READERS)
def metrics() -> Response:
    """Return what the workers counted, and gauges read now."""
    registry = telemetry.collector()
    registry.register(Now())
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


@api.get("/v1/route")
def route(region: str, permit: Holder, avoid: str = "") -> Route:
    """Return the node that the permit's holder should connect to, after `wait_ms`.

    `avoid` is the one that just failed them.
    """
    return balancing.route(permit, region, avoid=avoid)


@api.get("/v1/desired/{resource}", dependencies=READERS)
def desired(resource: Resource, region: str = EVERYWHERE) -> dict[str, int]:
    """Return how much of a resource there should be, for KEDA's metrics-api: {"desired": 4}.

    404 while nothing was decided that is to be applied: KEDA then keeps what there is.
    """
    policy = settings.read(ScalingPolicy)
    with database.transaction() as db:
        wanted = modes.desired(db, region, resource, policy, now=clock.now())
    if wanted is None:
        raise NothingDesired(resource=resource, region=region)
    return {"desired": wanted}


@api.post("/v1/supabase/metrics", status_code=204)
async def push(request: Request, login: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> None:
    """Take the metrics that a stock Supabase node pushes (METRICS_PUSHER_URL).

    Prometheus text, gzip or plain.
    """
    policy, given = supabase.policy(), f"{login.username}:{login.password}"
    if not policy.push_login or not compare_digest(given.encode(), policy.push_login.encode()):
        raise supabase.PushRefused
    supabase.check_size(request.headers.get("content-length", ""))
    body, encoding = await request.body(), request.headers.get("content-encoding", "")
    now, machine = clock.now(), clock.machine_now()
    await run_in_threadpool(
        lambda: balancing.take_scraped(
            supabase.pushed(body, encoding), policy.capacity, now=now, machine=machine
        )
    )


def _response(parts: dict[str, str], response: Response) -> dict[str, str]:
    if set(parts.values()) != {"ok"}:
        response.status_code = 503
    return parts


@cache
def _checks() -> Checks:
    return Checks()


api.add_middleware(Headers)
api.add_middleware(GZipMiddleware, minimum_size=1_000)
api.add_middleware(BodyLimit, limit=settings.read(Policy).body_max, refusal=problems.too_large)
