"""The part of the status that PostgreSQL has: weddings, alerts, actions, what waits for somebody."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from workers.alerts.rules.kinds import Severity
from workers.alerts.rules.lifecycle import AlertView, State
from workers.alerts.store import alerts
from workers.alerts.usecases import surroundings
from workers.commands.rules.requests import KIND as COMMAND
from workers.commands.store import requests as commands
from workers.delivery.store import summaries
from workers.emergencies.rules import SETTLED
from workers.emergencies.store.emergencies import Emergency
from workers.emergencies.store.steps import Due
from workers.emergencies.usecases import reading as emergencies
from workers.foundation import database, settings
from workers.foundation.moments import Moment
from workers.notify import formats as notify
from workers.operations.verdict import CRITICAL, DEGRADED, Status
from workers.outbox import store as outbox
from workers.responses import store as responses
from workers.scaling.rules.decision import State as ActionState
from workers.scaling.rules.policy import Policy
from workers.scaling.store import actions as scaling
from workers.scaling.store import orders, proposals
from workers.scaling.usecases import modes
from workers.seasons import store as seasons
from workers.snapshots import store as snapshots
from workers.weddings.rules import calendar
from workers.weddings.store import regions as calendar_regions
from workers.weddings.store import weddings

#: In seconds: an urgent message that has not left by then waits for a process that does not run.
URGENT_WITHIN = 5.0


def from_postgres(status: Status, now: Moment) -> None:
    """Fill in what PostgreSQL has, and blame what is wrong there."""
    phases = settings.read(calendar.Policy)
    with database.transaction() as db:
        status.regions = [_plain(row) for row in snapshots.latest(db, since=now - timedelta(days=1))]
        status.seasons = {region: str(season) for region, season in seasons.current(db).items()}
        near = weddings.between(db, now, now + timedelta(hours=24), limit=5)
        status.next_weddings = [_wedding(one, phases, now) for one in near]
        status.emergencies = [_emergency(one, steps) for one, steps in emergencies.active(db)]
        found = alerts.listed(db)
        status.alerts = [_plain(one) for one in found]
        status.pending = sum(one.state is State.PENDING for one in found)
        status.has_calendar = bool(calendar_regions.known(db))
        _from_alerts(db, status, found, now)
        status.actions = [_plain(one) for one in scaling.recent(db)]
        status.shadow = modes.in_shadow(db, settings.read(Policy), orders.active(db, at=now))
        status.proposals = [_plain(one) for one in proposals.known(db) if one.state is ActionState.PROPOSED]
        status.requests_waiting = commands.waiting(db)
        status.given_up = outbox.count_dead(db)
        _from_messages(db, status)
        if failed := outbox.failing(db, notify.KIND):
            status.blame(
                DEGRADED,
                f"{failed} notification(s) did not arrive: see NOTIFY_TARGETS, the log of `deliver` and "
                "`wedops dead-letters`",
            )
        if stuck := outbox.failing(db, COMMAND, attempts=5):
            status.blame(
                DEGRADED,
                f"{stuck} request(s) had no effect in 5 attempts: see the log of the worker of their task",
            )
    _blame_open(status)


def _from_messages(db: Connection, status: Status) -> None:
    """Say which urgent messages have not left, and which did not reach somebody."""
    if late := summaries.behind(db, URGENT_WITHIN):
        why = f"{late} urgent message(s) have not left: does the process `urgent` run?"
        status.blame(CRITICAL, why)
    for identifier, wedding_id, many in summaries.unreached(db, limit=5):
        what = f"{many} of {wedding_id} have not got message {identifier}"
        status.blame(DEGRADED, f"{what}: ring them (`wedops messages show {identifier}`)")


def _blame_open(status: Status) -> None:
    """Say what waits for somebody."""
    for one in status.proposals:
        what = f"{one['to']} {one['resource']} of {one['region']}"
        status.blame(
            DEGRADED, f"{what} wait for approval (`wedops scaling approve {one['id']} --for 6h`, or `reject`)"
        )
    for emergency in status.emergencies:
        what = f"{emergency['kind']} emergency {emergency['id']} at {emergency['wedding_id']} is open"
        steps = "; ".join(_line(step) for step in emergency["steps"] if step["state"] not in SETTLED)
        status.blame(DEGRADED, f"{what} ({steps or 'each step is settled: close it'})")


def _line(step: dict[str, Any]) -> str:
    late = "OVERDUE, " if step["escalated"] else ""
    return f"{late}{step['owner']} by {step['due_at'][11:16]}Z: {step['what']}"


def _from_alerts(db: Connection, status: Status, found: list[AlertView], now: Moment) -> None:
    """Say of each alert that fires and is not inhibited what is wrong, whom it hurts, and what to do."""
    firing = [one for one in found if one.state is State.FIRING and not one.muted.startswith("inhibited")]
    around, done = surroundings.of(db, firing, now=now), responses.active(db)
    for alert in firing:
        steps = ", ".join(
            f"{step.action.replace('_', ' ')} ({step.outcome})" for step in done.get(alert.id, ())
        )
        parts = [
            f"alert {alert.id}, {alert.severity}: {alert.detail}",
            f"affects {hurts}" if (hurts := around[alert.id].summary) else "",
            f"done: {steps}" if steps else "",
            f"to do: {surroundings.runbook(alert.kind)}",
            alert.muted,
        ]
        status.blame(
            CRITICAL if alert.severity is Severity.CRITICAL else DEGRADED, ", ".join(filter(None, parts))
        )


def _wedding(wedding: calendar.Wedding, phases: calendar.Policy, now: Moment) -> dict[str, Any]:
    facts = {name: getattr(wedding, name) for name in ("id", "region", "zone", "guest_count")}
    local = wedding.starts_local.isoformat(timespec="minutes")
    return facts | {"starts_local": local, "phase": str(calendar.phase(wedding, phases, now=now))}


def _emergency(one: Emergency, steps: list[Due]) -> dict[str, Any]:
    facts = ("id", "kind", "wedding_id", "opened_at")
    own = ("number", "what", "owner", "due_at", "state", "mandatory", "escalated")
    plain = [{name: _plain(step)[name] for name in own} for step in steps]
    return {name: _plain(one)[name] for name in facts} | {"steps": plain}


def _plain(fact: Any) -> dict[str, Any]:
    texts = {
        name: value.isoformat(timespec="seconds")
        for name, value in vars(fact).items()
        if isinstance(value, datetime)
    }
    return {**vars(fact), **texts}
