"""Answering degradations.

For each active alert one decision, applied and written down; undone when it has ended.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from workers.alerts.rules.kinds import Evaluator, Kind, Severity, Tempo
from workers.alerts.rules.lifecycle import AlertView, Breach
from workers.alerts.rules.lifecycle import Policy as Thresholds
from workers.alerts.store import alerts
from workers.alerts.usecases import escalation, evaluation
from workers.caching import store as results
from workers.foundation import logs, settings, telemetry
from workers.foundation.event_log import Happening
from workers.foundation.moments import Moment
from workers.responses import adapters, rules, store
from workers.responses.adapters import Doing
from workers.responses.rules import Outcome, Policy, Reason, Response

log = logs.get("responses")


def respond(db: Connection, policy: Policy, *, now: Moment) -> list[Breach]:
    """Take, renew, measure and undo what is to be by now.

    Return a breach for each alert whose ladder is at its end. Alerts are held by the transaction, so that two
    runs at once take turns and the second finds it done.
    """
    active, taken = alerts.hold(db), store.active(db)
    tempos = escalation.tempos(db, active, now=now)
    needed = {step.action for own in taken.values() for step in own if step.outcome is not Outcome.WORSE}
    adapters.reconcile(needed, now=now)
    helpless = []
    for alert in active:
        own = taken.pop(alert.id, [])
        _renew(db, own, policy, now)
        if own and rules.recovered(alert, policy, now=now):
            _undo_all(db, own, policy, now)
        elif (
            alert.region
            and not rules.recovered(alert, policy, now=now)
            and _answer(db, alert, own, tempos[alert.id], policy, now)
        ):
            helpless.append(_breach(alert))
    # Those whose alert is resolved meanwhile.
    for own in taken.values():
        _undo_all(db, own, policy, now)
    return helpless


def history(db: Connection, *, limit: int) -> list[dict[str, Any]]:
    """Return the newest steps with the indicator before and after, the newest first."""
    return store.history(db, limit=limit)


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return the steps that were taken or undone from a moment on."""
    taken = store.since(db, since, limit=limit)
    about = alerts.facts(db, {one.alert_id for one in taken})
    found = []
    for one in taken:
        what, wedding_id = (
            f"alert {one.alert_id}: step {one.number}, {one.action}",
            about[one.alert_id]["wedding_id"],
        )
        found.append(
            Happening(one.at, f"{what} ({one.reason}): {one.outcome}", one.region, wedding_id, "playbook")
        )
        if one.undone_at:
            found.append(Happening(one.undone_at, f"{what} undone", one.region, wedding_id, "playbook"))
    return [one for one in found if one.at >= since]


def _renew(db: Connection, own: Sequence[Response], policy: Policy, now: Moment) -> None:
    """Order again what a step ordered for a while, before that has ended: its alert is still active."""
    for step in own:
        if step.outcome is not Outcome.WORSE and step.action in adapters.FOR_A_WHILE:
            adapters.do(step.action, Doing(db, step.region, policy, now))


def _answer(
    db: Connection, alert: AlertView, own: Sequence[Response], tempo: Tempo, policy: Policy, now: Moment
) -> bool:
    """Carry out one decision about an alert; tell whether help is needed."""
    playbook = rules.playbook(alert, tempo)
    decision = rules.decide(alert, own, playbook.ladder, tempo, policy, now=now) if playbook else None
    if decision is None:
        return False
    if decision.measured:
        _measured(db, alert, own[-1], decision.measured, policy, now)
    elif decision.take:
        _take(db, alert, decision, policy, now)
    return decision.reason is Reason.EXHAUSTED


def _take(db: Connection, alert: AlertView, decision: rules.Decision, policy: Policy, now: Moment) -> None:
    if decision.take and store.take(db, alert, decision.take, decision.number, decision.reason, at=now):
        done = adapters.do(decision.take, Doing(db, alert.region, policy, now))
        telemetry.decisions.labels("degradation", decision.reason).inc()
        log.warning(
            "responded",
            alert_id=alert.id,
            action=decision.take,
            reason=decision.reason,
            region=alert.region,
            done=done,
        )


def _measured(
    db: Connection, alert: AlertView, step: Response, outcome: Outcome, policy: Policy, now: Moment
) -> None:
    store.measure(db, step, outcome, alert.value, at=now)
    detail = {
        "indicator": alert.kind,
        "before": step.before,
        "after": alert.value,
        "outcome": outcome,
        "region": alert.region,
    }
    results.record(
        db,
        key=f"response/{step.id}",
        kind=step.action,
        wedding_id=alert.wedding_id or None,
        detail=detail,
        at=now,
    )
    log.info(
        "response measured",
        alert_id=alert.id,
        action=step.action,
        reason=outcome,
        before=step.before,
        after=alert.value,
    )
    if outcome is Outcome.WORSE:
        _end(db, step, policy, now)


def _undo_all(db: Connection, own: Sequence[Response], policy: Policy, now: Moment) -> None:
    for step in reversed(own):
        store.undo(db, step, at=now)
        if step.outcome is not Outcome.WORSE:
            _end(db, step, policy, now)


def _end(db: Connection, step: Response, policy: Policy, now: Moment) -> None:
    """Undo what a step did, unless another step needs it."""
    if not store.is_shared(db, step, *rules.scope(step)):
        adapters.undo(step.action, Doing(db, step.region, policy, now))
        log.info(
            "response undone",
            alert_id=step.alert_id,
            action=step.action,
            region=step.region,
            reason=step.outcome,
        )


def _breach(alert: AlertView) -> Breach:
    severity = Severity.CRITICAL if alert.severity is Severity.CRITICAL else Severity.HIGH
    detail = (
        f"all that the playbook has was tried for alert {alert.id} ({alert.kind} {alert.subject}), and it is "
        "no better"
    )
    return Breach(
        Kind.RESPONSE_FAILED,
        f"{alert.kind}/{alert.subject}",
        severity,
        alert.value,
        detail,
        alert.region,
        alert.wedding_id,
    )


def raise_alerts(helpless: Sequence[Breach], *, now: Moment) -> bool:
    """Bring the alerts about responses that did not help up to date; tell whether one changed."""
    policy = settings.read(Thresholds)
    return evaluation.reconcile(helpless, Evaluator.RESPONSES, policy, now=now)
