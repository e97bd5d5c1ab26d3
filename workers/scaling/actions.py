"""Reading the world, deciding, and telling the gateways."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from workers.connections.store import service
from workers.forecasting import actions as forecasts
from workers.forecasting import store as forecasting
from workers.forecasting.rules import Forecast
from workers.foundation import clock, database, logs, settings, telemetry
from workers.metrics import rules as measuring
from workers.metrics import store as metrics
from workers.scaling import rules, store
from workers.weddings import rules as calendar
from workers.weddings import store as weddings

log = logs.get("scaling")

RESOURCE = "instances"


def readings(db: Connection, policy: rules.Policy, *, now: datetime) -> list[rules.Reading]:
    """Return what is known of each region at `now`."""
    last, fresh_for = store.latest(db), settings.read(measuring.Policy, "METRICS_").fresh_for
    measured = {row.region: row.connections for row in metrics.latest(db, since=now - fresh_for)}
    predicted = forecasting.latest(db)
    near = weddings.between(db, now, now + policy.lead)
    found, regions = [], weddings.regions(db)
    planned = [peak / len(regions)] if regions and (peak := service.peak(now)) else []
    capacity = policy.connections_per_instance
    uppers, waiting = forecasts.uppers(db, regions, now=now, boot=policy.boot, unit=capacity / 2)
    for region in regions:
        action, here = last.get((region, RESOURCE)), [wedding for wedding in near if wedding.region == region]
        found.append(
            rules.Reading(
                region=region,
                instances=action.to if action else policy.instances_min,
                connections=measured.get(region),
                expected=max(known) if (known := [*_forecast(predicted, region, now, policy), *planned]) else None,
                upper=uppers.get(region),
                unlearned=region in waiting,
                ceremony_ahead=any(not calendar.running(wedding, now=now) for wedding in here),
                frozen_until=max((wedding.ends_at for wedding in here), default=None),
                changed_at=action.created_at if action else None,
                follows=action.id if action else 0,
            )
        )
    return found


def _forecast(predicted: Mapping[str, Forecast], region: str, now: datetime, policy: rules.Policy) -> list[float]:
    peak = predicted[region].peak(now, now + policy.lead) if region in predicted else None
    return [] if peak is None else [peak]


def capacity(db: Connection, *, now: datetime, days: int) -> list[rules.FullDay]:
    """Return the days to come on which a region may need more instances than it may have."""
    policy, made = settings.read(rules.Policy, "SCALING_"), forecasts.by_calendar(db, now=now, horizon=timedelta(days=days))
    found = [rules.full_days(one.region, one.starts_at, one.step, one.quantiles["p99"].tolist(), policy) for one in made]
    return [day for days_of_region in found for day in days_of_region]


def record(db: Connection, reading: rules.Reading, decision: rules.Decision, *, now: datetime) -> None:
    """Write a decision that changes something, with what it was made from."""
    telemetry.decisions.labels("scaling", decision.reason).inc()
    if decision.to == reading.instances:
        return
    expected = round(reading.expected, 1) if reading.expected is not None else None
    upper = round(reading.upper, 1) if reading.upper is not None else None
    inputs = {
        "connections": reading.connections,
        "expected": expected,
        "upper": upper,
        "ceremony_ahead": reading.ceremony_ahead,
    }
    if store.record(
        db, follows=reading.follows, region=reading.region, resource=RESOURCE,
        before=reading.instances, to=decision.to, reason=decision.reason, inputs=inputs, asked_by="schedule", at=now,
    ):  # fmt: skip
        log.info("region scaled", region=reading.region, before=reading.instances, to=decision.to, reason=decision.reason)


def see_to_it(policy: rules.Policy) -> None:
    """Have each region's gateways know what its last action wants, also when Redis lost it; note who confirms."""
    now = clock.now()
    with database.transaction() as db:
        for action in store.latest(db).values():
            told = store.tell(action, connection_limit=action.to * policy.connections_per_instance)
            if action.state is rules.State.CONFIRMED:
                continue
            if not told and store.confirmed(action.region) >= action.id:
                store.move(db, action, rules.State.CONFIRMED, at=now)
                log.info("action confirmed", region=action.region, to=action.to, reason=action.reason)
            elif action.state is rules.State.APPROVED:
                store.move(db, action, rules.State.APPLIED, at=now)
