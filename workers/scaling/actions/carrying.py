"""Writing decisions down, having them carried out, and seeing that they are."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from secrets import token_hex

from billiard.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection

from workers.foundation import clock, database, logs, once, redis, settings, telemetry
from workers.foundation.errors import Anticipated
from workers.notify import actions as notify
from workers.notify.rules import Notification
from workers.scaling import client, rules, store
from workers.scaling.actions.readings import held_regions, in_shadow, readings
from workers.scaling.rules import EVERYWHERE, Decision, Policy, Purpose, Reading, Reason, Resource, State
from workers.scaling.store import Action

log = logs.get("scaling")

#: How long a run may carry out, in seconds, and hold the lease: what was begun last takes three calls' patience at most.
AT_ONCE, HELD = 10.0, timedelta(seconds=30)
#: Where we never acted, the real thing is looked at in one minute of so many: it may have less than it should.
LOOK_EVERY = 10
#: What is not needed for a moment may be needed again: a proposal stands so long at least.
STANDS = timedelta(minutes=10)


def decide() -> None:
    """Read the world, decide about every resource, and write what changes with what it was made from."""
    now, policy = clock.now(), settings.read(Policy, "SCALING_")
    with database.transaction() as db:
        found = readings(db, policy, now=now)
    # Real systems are asked between the transactions: one that hangs must hold no row.
    begun, away = clock.stopwatch(), set[Resource]()
    sure = [_sure(reading, policy, now, away if clock.stopwatch() - begun < AT_ONCE else set(Resource)) for reading in found]
    decided = [(reading, rules.decide(reading, policy, now=now)) for reading in sure]
    with database.transaction() as db:
        record(db, decided, policy, now=now)


def _sure(reading: Reading, policy: Policy, now: datetime, away: set[Resource]) -> Reading:
    """Return the reading with what the real thing has, where nothing of ours says so.

    Where that can't be asked (`away` remembers it for the run) it may get more, and loses nothing.
    """
    matters = now.minute % LOOK_EVERY == 0 or rules.decide(reading, policy, now=now).to != reading.has
    if not reading.unsure or not matters:
        return reading
    seen = None
    try:
        if reading.resource not in away:
            seen = client.found(reading.region, reading.resource, now=now)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        # A plug-in may raise anything, and stops nobody else.
        away.add(reading.resource)
        log.warning("not asked", region=reading.region, resource=reading.resource, reason=_named(error), detail=_told(error))
    if reading.resource in away:
        return replace(reading, hold_in=True)
    return reading if seen is None else replace(reading, has=seen)


def record(db: Connection, decided: Iterable[tuple[Reading, Decision]], policy: Policy, *, now: datetime) -> None:
    """Write what changes; ask for approval of what is above the cap."""
    proposals: dict[tuple[str, str], list[Action]] = {}
    for one in store.proposals(db, rejected_since=now - policy.approval_within):
        proposals.setdefault((one.region, one.resource), []).append(one)
    for reading, decision in decided:
        telemetry.decisions.labels("scaling", decision.reason).inc()
        written = 0
        if decision.to != reading.has:
            purpose = Purpose.SHADOW if reading.shadow else Purpose.ACT
            written = _write(db, reading, decision.to, decision.reason, purpose, now)
            if written and decision.reason is Reason.TOOK_TOO_MUCH:
                store.roll_back(db, written, problem="strain rose when it was gone")
        if not reading.shadow:
            ours = proposals.get((reading.region, reading.resource), [])
            _propose(db, reading, decision, ours, policy, written or reading.follows, now)


def _write(db: Connection, reading: Reading, to: int, reason: Reason, purpose: Purpose, now: datetime, follows: int = 0) -> int:
    numbers = {name: getattr(reading, name) for name in ("load", "lately", "expected", "upper", "pressure")}
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
    db: Connection, reading: Reading, decision: Decision, ours: Sequence[Action], policy: Policy, follows: int, now: datetime
) -> None:
    """Keep at most one proposal standing, as high as is needed; end what was allowed once it is over and given back."""
    standing = False
    for one in ours:
        if one.state is State.REJECTED:
            standing |= one.to >= decision.beyond
        elif one.state is State.APPROVED:
            ended = one.until is not None and one.until <= now
            standing |= not ended and one.to >= decision.beyond
            if ended and decision.to <= policy.bounds(reading.resource).most:
                with suppress(store.ActionUnknown):
                    store.settle(db, one.id, State.ROLLED_BACK, by="schedule", at=now, problem="its time is over")
        elif problem := _outlived(one, decision, policy, now):
            # Somebody may have settled it since it was read.
            with suppress(store.ActionUnknown):
                store.settle(db, one.id, State.REJECTED, by="schedule", at=now, problem=problem)
        else:
            standing = True
            store.raise_proposal(db, one.id, decision.beyond)
    if decision.beyond and not standing and (
        id := _write(db, reading, decision.beyond, Reason.ABOVE_CAP, Purpose.ABOVE_CAP, now, follows)
    ):  # fmt: skip
        where = f"{reading.resource} of {reading.region}"
        body = f"{where}: {decision.beyond} are needed, {decision.to} are allowed. `wedops scaling approve {id} --for 6h`"
        notify.tell(db, Notification(f"scaling/approve/{id}", f"approval wanted: {where}", body, "high"), at=now)


def _outlived(one: Action, decision: Decision, policy: Policy, now: datetime) -> str:
    if now - one.created_at >= policy.approval_within:
        return "nobody approved it in time"
    return "no longer needed" if not decision.beyond and now - one.created_at >= STANDS else ""


def see_to_it(policy: Policy, *, drift: bool = False) -> None:
    """Have what was decided carried out and confirmed, also when Redis or a real system lost it.

    With `drift` what was confirmed is looked at again: a system that was set by somebody else is set back. Regions that are
    only watched are left alone.
    """
    with once.held("scaling.carry_out", token=token_hex(8), ttl=HELD) as lease:
        if lease is None:
            return
        with database.transaction() as db:
            wanted, held = store.latest(db).values(), held_regions(db, policy, clock.now())
            watched = in_shadow(db, policy, now=clock.now(), also=[action.region for action in wanted])
        ours = [action for action in wanted if action.region not in watched and action.resource in client.managed()]
        try:
            _tell(ours, watched, held, policy)
        except redis.UNREACHABLE as error:
            # What real systems should have does not wait for gateways.
            log.warning("gateways not told", reason="redis", detail=str(error))
        begun = clock.stopwatch()
        # What hangs is tried last, so that it keeps nothing else waiting.
        for action in sorted(ours, key=lambda one: one.attempts):
            if (action.state is State.CONFIRMED) is drift and clock.stopwatch() - begun < AT_ONCE:
                _carry_out(action, action.region in held, policy)


def _tell(actions: Iterable[Action], watched: Iterable[str], held: Collection[str], policy: Policy) -> None:
    by_region: dict[str, list[Action]] = {}
    for action in actions:
        if action.region != EVERYWHERE:
            by_region.setdefault(action.region, []).append(action)
    for region, ours in by_region.items():
        store.tell(region, ours, connections_per_instance=policy.connections_per_instance, lower=region not in held)
    for region in watched:
        store.untell(region)


@dataclass(frozen=True)
class _Result:
    """What became of a try: `problem` is None when all real systems have what is wanted; `told` when they were set."""

    problem: str | None
    told: bool = True


def _carry_out(action: Action, held: bool, policy: Policy) -> None:
    result, now = _bring_about(action, held), clock.now()
    if result is None or (action.state is State.CONFIRMED and not result.problem):
        return
    state = State.APPLIED if result.told else State.APPROVED
    old = now - action.created_at >= policy.confirm_within
    if not result.problem:
        state = State.CONFIRMED
    elif action.state is State.FAILED or (old and action.attempts + 1 >= policy.attempts_most):
        state = State.FAILED
    if (state, result.problem) == (action.state, action.problem) and state is State.FAILED:
        return
    with database.transaction() as db:
        store.move(db, action, state, at=now, problem=result.problem)
    say = log.warning if state is State.FAILED else log.info
    say("action", action=action.id, region=action.region, resource=action.resource, to=action.to, state=state,
        reason=result.problem or "confirmed")  # fmt: skip


class _Waits(Exception):  # noqa: N818 - it says why, and is no error
    """Nothing is taken away now."""


def _bring_about(action: Action, held: bool) -> _Result | None:
    """Have all real systems do what the action wants; None when it waits for a ceremony to end."""
    problems, told = [], True
    for name in client.managed().get(action.resource, []):
        try:
            if not _set(client.made(name, action.resource), action, held):
                problems.append(f"{name} has not confirmed it yet")
        except _Waits:
            return None
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            # A plug-in may raise anything, and stops nobody else.
            told = False
            problems.append(_told(error) or f"{name} failed ({_named(error)})")
    return _Result("; ".join(problems) or None, told)


def _set(actuator: client.Actuator, action: Action, held: bool) -> bool:
    """Have one real system do it; tell whether it has what is wanted. Raises _Waits."""
    seen = actuator.seen(action)
    if seen == action.to:
        return True
    if seen is not None and seen > action.to:
        if held:
            raise _Waits
        if action.to > action.before and action.state is not State.CONFIRMED:
            # It was to have more, and has more than that.
            return True
    if action.state is State.CONFIRMED:
        log.warning("drift", region=action.region, resource=action.resource, to=action.to, reason="changed_by_another")
    actuator.apply(action)
    return actuator.seen(action) == action.to


def _told(error: Exception) -> str:
    """Return the message of an error of ours; what a library says may hold a token."""
    return str(error) if isinstance(error, Anticipated) else ""


def _named(error: Exception) -> str:
    return error.reason if isinstance(error, Anticipated) else type(error).__name__
