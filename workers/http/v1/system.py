"""The system as a whole: alerts, responses, capacity and why, forecasts, seasons, jobs and queues."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from workers.alerts.rules.lifecycle import AlertView
from workers.alerts.usecases import operators
from workers.forecasting.usecases import forecasts
from workers.foundation import clock, database, jobs, queues
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.http.calls import Call, RowId, system
from workers.http.pages import Limit
from workers.operations import connections
from workers.responses import usecases as responses
from workers.scaling.rules.actions import Action
from workers.scaling.rules.orders import Order
from workers.scaling.usecases import seen, why
from workers.seasons import usecases as seasons
from workers.seasons.rules.days import Day

router = APIRouter(prefix="/v1", tags=["the system"])

Alerts = Annotated[Call, system("alerts:read")]
Scaling = Annotated[Call, system("scaling:read")]
System = Annotated[Call, system("system:read")]


class ForecastUnknown(ExpectedError):
    """region={region!r} has no forecast"""

    http_status = 404


@router.get("/alerts")
def alerts(_call: Alerts, *, ended: bool = False) -> list[AlertView]:
    """List alerts, those that hurt most people in the worst phase first; also those that have ended."""
    with database.transaction() as db:
        return operators.listing(db, ended=ended)


class AlertHistory(BaseModel):
    """An alert and all that became of it, the oldest first."""

    alert: AlertView
    changes: list[dict[str, Any]]


@router.get("/alerts/{alert_id}")
def alert(alert_id: RowId, _call: Alerts) -> AlertHistory:
    """Show an alert and all that became of it."""
    with database.transaction() as db:
        found, changes = operators.history(db, alert_id)
    return AlertHistory(alert=found, changes=changes)


@router.get("/responses")
def responded(_call: Alerts, limit: Limit = 50) -> list[dict[str, Any]]:
    """List what was done about degradations, and what it did, the newest first."""
    with database.transaction() as db:
        return responses.history(db, limit=limit)


@router.get("/actions")
def actions(_call: Scaling, limit: Limit = 50) -> list[Action]:
    """List scaling actions, the newest first."""
    with database.transaction() as db:
        return seen.recent(db, limit=limit)


class Why(BaseModel):
    """An action, what its decision went by, the orders that held, and what bound it."""

    action: Action
    made_from: Mapping[str, Any]
    orders: list[Order]
    why: Any


@router.get("/actions/{action_id}")
def action(action_id: RowId, _call: Scaling) -> Why:
    """Show a scaling action, and why it was taken."""
    with database.transaction() as db:
        found = why.account(db, action_id)
    return Why(action=found.action, made_from=found.made_from, orders=found.orders, why=found.why)


@router.get("/orders")
def orders(_call: Scaling, limit: Limit = 50) -> list[Order]:
    """List what people ordered, the newest first."""
    with database.transaction() as db:
        return seen.audit(db, limit=limit)[0]


class ForecastView(BaseModel):
    """How many connections a region is expected to have: quantiles by step, from a moment on."""

    region: str
    zone: str
    starts_at: datetime
    step_seconds: float
    quantiles: dict[str, list[float]]


@router.get("/forecasts/{region}")
def forecast(region: str, _call: Scaling) -> ForecastView:
    """Show a region's newest forecast."""
    with database.transaction() as db:
        found = forecasts.latest(db, region)
    if found is None:
        raise ForecastUnknown(region=region[:80])
    return ForecastView(
        region=found.region,
        zone=found.zone,
        starts_at=found.starts_at,
        step_seconds=found.step.total_seconds(),
        quantiles={name: [float(one) for one in values] for name, values in found.quantiles.items()},
    )


@router.get("/days")
def days(_call: Scaling, ahead: Annotated[int, Query(ge=1, le=366)] = 30) -> list[Day]:
    """List the days to come that are not ordinary: holidays, and those of many weddings, by region."""
    now = clock.now()
    with database.transaction() as db:
        return list(seasons.days(db, now, Moment(now + timedelta(days=ahead))))


@router.get("/regions")
def regions(_call: Annotated[Call, system("connections:read")]) -> list[connections.RegionTraffic]:
    """Show how the connections of every region are."""
    return connections.regions(now=clock.now())


@router.get("/jobs")
def all_jobs(_call: System) -> list[jobs.Record]:
    """List the periodic jobs: when each ran last, how often it failed, was late or skipped."""
    return list(jobs.records())


class QueueView(BaseModel):
    """How many messages wait in a queue, and the oldest for how many seconds."""

    name: str
    length: int
    oldest_seconds: float


@router.get("/queues")
def all_queues(_call: System) -> list[QueueView]:
    """List the queues, how many messages wait in each and for how long."""
    return [
        QueueView(name=one.name, length=one.depth, oldest_seconds=one.oldest)
        for one in queues.lengths_and_ages()
    ]
