"""Answering degradations.

For each active alert one decision, applied and written down; undone when it has ended.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from workers.alerts.rules.kinds import Evaluator, Kind, Severity, Tempo
from workers.alerts.rules.lifecycle import AlertView, Breach
from workers.alerts.rules.lifecycle import Policy as Thresholds
from workers.alerts.store import alerts
from workers.alerts.usecases import escalation, evaluation, surroundings
from workers.caching.store import results
from workers.caching.usecases import maintenance
from workers.foundation import clock, database, logs, redis, settings, telemetry
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.event_log import Happening
from workers.foundation.moments import Moment
from workers.responses import adapters, rules, store
from workers.responses.adapters import Doing
from workers.responses.rules import Action, Outcome, Policy, Reason, Response
from workers.weddings.rules.calendar import Phase
from workers.weddings.store import weddings

log = logs.get("responses")


class NothingLeft(ExpectedError):
    """nothing is done about alert {alert_id} by a playbook: {why}; its page says what people can do"""

    http_status = 409


#: A run answers for so many seconds, well inside its task's time limit; the next one goes on.
ENOUGH = 10.0


@dataclass(frozen=True)
class Answered:
    """What did not help; and what there was no time for, by the fingerprint of what it would raise."""

    helpless: list[Breach]
    unknown: frozenset[str]


@dataclass(frozen=True)
class Surroundings:
    """What decides how an alert is answered, beside itself."""

    tempo: Tempo
    phases: Collection[Phase]
    cache_is_small: bool


def respond(policy: Policy, *, now: Moment) -> Answered:
    """Take, renew, measure and undo what is to be by now: an alert a transaction, the worst first.

    Only an alert about which something is to be done is held, for as long as that takes. One that somebody
    else holds is left to the next run; of two runs at once the second finds it done.
    """
    with database.transaction() as db:
        active, taken = _placed(db, alerts.listed(db, limit=None, ended=False)), store.active(db)
        arounds = _surroundings(db, active, now)
    needed = [step for own in taken.values() for step in own if step.outcome is not Outcome.WORSE]
    adapters.reconcile(needed, policy, now=now)
    begun, helpless, unknown = clock.stopwatch(), list[Breach](), set[str]()
    for alert in active:
        if clock.stopwatch() - begun > ENOUGH:
            unknown.add(_breach(alert).fingerprint)
            continue
        own, around = taken.get(alert.id, []), arounds[alert.id]
        decision = _decide(alert, own, around, policy, now)
        if _has_work(alert, own, decision, policy, now):
            _answer(alert.id, around, policy, now)
        if decision and decision.reason is Reason.EXHAUSTED:
            helpless.append(_breach(alert))
    # Those whose alert is resolved meanwhile.
    for alert_id in taken.keys() - {alert.id for alert in active}:
        with database.transaction() as db:
            _undo_all(db, store.of_alert(db, alert_id), policy, now)
    return Answered(helpless, frozenset(unknown))


def _placed(db: Connection, found: Sequence[AlertView]) -> list[AlertView]:
    """Return alerts with the region of their wedding, where they name none."""
    nowhere = {one.wedding_id for one in found if one.wedding_id and not one.region}
    regions = {one.id: one.region for one in weddings.by_id(db, nowhere)} if nowhere else {}
    return [replace(one, region=one.region or regions.get(one.wedding_id, "")) for one in found]


def _surroundings(db: Connection, active: Sequence[AlertView], now: Moment) -> dict[int, Surroundings]:
    tempos, around = escalation.tempos(db, active, now=now), surroundings.of(db, active, now=now)
    small = _cache_is_small()
    return {one.id: Surroundings(tempos[one.id], around[one.id].phases, small) for one in active}


def _cache_is_small() -> bool:
    """Tell whether the cache has to evict what is still read; not when it does not answer."""
    with suppress(*redis.UNREACHABLE):
        found = maintenance.condition().structure
        return bool(found and found.is_too_small)
    return False


def _decide(
    alert: AlertView, own: Sequence[Response], around: Surroundings, policy: Policy, now: Moment
) -> rules.Decision | None:
    """Decide about an alert; None where nothing is to be: it is well, or no playbook is for it."""
    if not alert.region or rules.recovered(alert, policy, now=now):
        return None
    ladder = _ladder(alert, around)
    return rules.decide(alert, own, ladder, around.tempo, policy, now=now) if ladder else None


def _ladder(alert: AlertView, around: Surroundings) -> tuple[Action, ...]:
    """Return the steps for an alert where it is; none where nothing is done by itself."""
    playbook = rules.playbook(alert, around.tempo)
    if playbook is None:
        return ()
    return rules.ladder(
        playbook, around.phases, cache_is_small=around.cache_is_small, of_a_wedding=bool(alert.wedding_id)
    )


def _has_work(
    alert: AlertView, own: Sequence[Response], decision: rules.Decision | None, policy: Policy, now: Moment
) -> bool:
    """Tell whether something is to be ordered again, undone, measured or taken."""
    if own and rules.recovered(alert, policy, now=now):
        return True
    renewed = any(step.outcome is not Outcome.WORSE and step.action in adapters.FOR_A_WHILE for step in own)
    return renewed or (decision is not None and bool(decision.measured or decision.take))


def _answer(alert_id: int, around: Surroundings, policy: Policy, now: Moment) -> None:
    """Do what is to be done about an alert, as it is when it is held."""
    with database.transaction() as db:
        try:
            [alert] = _placed(db, alerts.hold(db, alert_id, wait=False))
        except alerts.AlertUnknown:
            # Resolved meanwhile, or held: the next run sees to what is left.
            return
        own = store.of_alert(db, alert_id)
        _renew(db, own, policy, now)
        if rules.recovered(alert, policy, now=now):
            _undo_all(db, own, policy, now)
        elif decision := _decide(alert, own, around, policy, now):
            if decision.measured:
                _measured(db, alert, own[-1], decision.measured, policy, now)
            elif decision.take:
                _take(db, alert, decision, policy, now, by=store.PLAYBOOK)


def trigger(db: Connection, alert_id: int, *, by: str, now: Moment) -> tuple[Action, str]:
    """Take the next step of an alert's ladder at once, without waiting for what the last one did.

    Return it, and in words what was done. It is measured and undone as any step. Raises AlertUnknown,
    NothingLeft.
    """
    [alert] = _placed(db, alerts.hold(db, alert_id))
    own, around = store.of_alert(db, alert_id), _surroundings(db, [alert], now)[alert_id]
    steps = _ladder(alert, around)
    action = rules.untried(own, steps)
    if action is None or not alert.region:
        why = "all was tried" if steps else f"no playbook is for {alert.kind} {alert.severity}"
        raise NothingLeft(alert_id=alert_id, why=why if alert.region else "it is of no region")
    decision = rules.Decision(Reason.BY_HAND, take=action, number=len(own) + 1)
    done = _take(db, alert, decision, settings.read(Policy), now, by=storable(by))
    return action, done or "it was taken a moment ago"


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
            Happening(one.at, f"{what} ({one.reason}): {one.outcome}", one.region, wedding_id, one.by)
        )
        if one.undone_at:
            found.append(Happening(one.undone_at, f"{what} undone", one.region, wedding_id, "playbook"))
    return [one for one in found if one.at >= since]


def _renew(db: Connection, own: Sequence[Response], policy: Policy, now: Moment) -> None:
    """Order again what a step ordered for a while, before that has ended: its alert is still active."""
    for step in own:
        if step.outcome is not Outcome.WORSE and step.action in adapters.FOR_A_WHILE:
            adapters.do(step.action, Doing(db, step.region, step.wedding_id, policy, now))


def _take(
    db: Connection, alert: AlertView, decision: rules.Decision, policy: Policy, now: Moment, *, by: str
) -> str:
    """Take a step; return in words what was done, nothing where it was taken before."""
    done = ""
    if decision.take and store.take(db, alert, decision, by=by, at=now):
        done = adapters.do(decision.take, Doing(db, alert.region, alert.wedding_id, policy, now))
        telemetry.decisions.labels("degradation", decision.reason).inc()
        log.warning(
            "responded",
            alert_id=alert.id,
            action=decision.take,
            reason=decision.reason,
            region=alert.region,
            done=done,
            by=by,
        )
    return done


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
    done = results.Result(f"response/{step.id}", step.action, alert.wedding_id or None, detail)
    results.record(db, [done], at=now)
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
    if not store.is_shared(db, step, rules.scope(step)):
        adapters.undo(step.action, Doing(db, step.region, step.wedding_id, policy, now))
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


def raise_alerts(answered: Answered, *, now: Moment) -> bool:
    """Raise the alerts about responses that did not help; resolve the others, unless nothing is known."""
    policy = settings.read(Thresholds)
    return evaluation.reconcile(
        answered.helpless,
        Evaluator.RESPONSES,
        policy,
        now=now,
        evaluated=lambda fingerprint: fingerprint not in answered.unknown,
    )
