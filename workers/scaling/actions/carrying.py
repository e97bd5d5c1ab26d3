"""Writing decisions down, having them carried out, and seeing that they are."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from secrets import token_hex

from sqlalchemy import Connection

from workers.foundation import clock, database, logs, once, telemetry
from workers.foundation.errors import Anticipated
from workers.notify import store as notify
from workers.scaling import client, rules, store
from workers.scaling.rules import EVERYWHERE, Decision, Policy, Purpose, Reading, Reason, State
from workers.scaling.store import Action

log = logs.get("scaling")

#: Longer than all actuators' time-outs together.
HELD = timedelta(seconds=25)


def decide(db: Connection, found: Iterable[Reading], policy: Policy, *, now: datetime) -> None:
    """Decide about resources and write what changes, with what it was made from; ask for approval of what is above the cap."""
    proposals: dict[tuple[str, str], list[Action]] = {}
    for one in store.proposals(db):
        proposals.setdefault((one.region, one.resource), []).append(one)
    for reading in found:
        _decide(db, reading, proposals.get((reading.region, reading.resource), []), policy, now)


def _decide(db: Connection, reading: Reading, proposals: list[Action], policy: Policy, now: datetime) -> None:
    decision = rules.decide(reading, policy, now=now)
    if reading.changed_at is None and decision.to != reading.has:
        # Nothing of ours says how much there is: the real thing does. What somebody gave it must not shrink unasked.
        seen = client.found(reading.region, reading.resource, now=now)
        reading = replace(reading, has=seen or reading.has)
        decision = rules.decide(reading, policy, now=now)
    telemetry.decisions.labels("scaling", decision.reason).inc()
    written = 0
    if decision.to != reading.has:
        purpose = Purpose.SHADOW if reading.shadow else Purpose.ACT
        written = _write(db, reading, decision.to, decision.reason, purpose, now)
    if not reading.shadow:
        _propose(db, reading, decision, proposals, policy, written or reading.follows, now)


def _write(db: Connection, reading: Reading, to: int, reason: Reason, purpose: Purpose, now: datetime, follows: int = 0) -> int:
    numbers = {name: getattr(reading, name) for name in ("load", "expected", "upper", "pressure")}
    inputs = {name: round(value, 2) if value is not None else None for name, value in numbers.items()}
    inputs |= {"ceremony_ahead": reading.ceremony_ahead, "allowed": reading.allowed, "emergency": reading.emergency}
    id = store.record(
        db, follows=follows or reading.follows, region=reading.region, resource=reading.resource, before=reading.has, to=to,
        reason=reason, inputs=inputs, asked_by="schedule", at=now, purpose=purpose,
    )  # fmt: skip
    if id:
        log.info(
            "region scaled", region=reading.region, resource=reading.resource, before=reading.has, to=to, reason=reason,
            purpose=purpose, action=id,
        )  # fmt: skip
    return id


def _propose(
    db: Connection, reading: Reading, decision: Decision, ours: list[Action], policy: Policy, follows: int, now: datetime
) -> None:
    """Keep at most one proposal standing, as high as is needed; end what was allowed once it is over and given back."""
    for one in ours:
        if one.state is State.APPROVED:
            if one.until and one.until <= now and decision.to <= policy.bounds(reading.resource).most:
                store.settle(db, one.id, State.ROLLED_BACK, by="schedule", problem="its time is over")
        elif problem := _outlived(one, decision, policy, now):
            store.settle(db, one.id, State.REJECTED, by="schedule", problem=problem)
    standing = [one for one in ours if one.to >= decision.beyond and not _outlived(one, decision, policy, now)]
    if not decision.beyond or standing:
        return
    if id := _write(db, reading, decision.beyond, Reason.ABOVE_CAP, Purpose.ABOVE_CAP, now, follows):
        where = f"{reading.resource} of {reading.region}"
        body = f"{where}: {decision.beyond} are needed, {decision.to} are allowed. `wedops scaling approve {id} --for 6h`"
        notify.write(db, notify.Notification(f"scaling/approve/{id}", f"approval wanted: {where}", body, "high"), at=now)


def _outlived(one: Action, decision: Decision, policy: Policy, now: datetime) -> str:
    if one.state is State.APPROVED:
        return "its time is over" if one.until and one.until <= now else ""
    if now - one.created_at >= policy.approval_within:
        return "nobody approved it in time"
    if not decision.beyond:
        return "no longer needed"
    return "more is needed now" if decision.beyond > one.to else ""


def see_to_it(policy: Policy, *, drift: bool = False) -> None:
    """Have what was decided carried out and confirmed, also when Redis or a real system lost it.

    With `drift` what was confirmed is looked at again: a system that was set by somebody else is set back.
    """
    with once.held("scaling.carry_out", token=token_hex(8), ttl=HELD) as lease:
        if lease is None:
            return
        with database.transaction() as db:
            wanted = store.latest(db)
        _tell(wanted.values(), policy)
        for action in wanted.values():
            if action.resource in client.managed() and (action.state is State.CONFIRMED) is drift:
                _carry_out(action, policy)


def _tell(wanted: Iterable[Action], policy: Policy) -> None:
    by_region: dict[str, list[Action]] = {}
    for action in wanted:
        if action.region != EVERYWHERE:
            by_region.setdefault(action.region, []).append(action)
    for region, actions in by_region.items():
        store.tell(region, actions, connections_per_instance=policy.connections_per_instance)


def _carry_out(action: Action, policy: Policy) -> None:
    problem = _bring_about(action)
    if action.state is State.CONFIRMED and not problem:
        return
    state = State.CONFIRMED if not problem else State.APPLIED
    if problem and (action.attempts + 1 >= policy.attempts_most or action.state is State.FAILED):
        state = State.FAILED
    if (state, problem) == (action.state, action.problem) and state is State.FAILED:
        return
    with database.transaction() as db:
        store.move(db, action, state, at=clock.now(), problem=problem, tried=True)
    say = log.warning if state is State.FAILED else log.info
    say("action", action=action.id, region=action.region, resource=action.resource, to=action.to, state=state,
        reason=problem or "confirmed")  # fmt: skip


def _bring_about(action: Action) -> str | None:
    """Return what keeps a real system from having what the action wants; None when all have it."""
    problems = []
    for name, actuator in client.of(action.resource).items():
        try:
            if actuator.seen(action) == action.to:
                continue
            if action.state is State.CONFIRMED:
                log.warning("drift", region=action.region, resource=action.resource, to=action.to, reason="changed_by_another")
            actuator.apply(action)
            if actuator.seen(action) != action.to:
                problems.append(f"{name} has not confirmed it yet")
        except Anticipated as error:
            problems.append(str(error))
    return "; ".join(problems) or None
