"""Having decisions carried out, and seeing that they are."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex

from billiard.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection

from workers.foundation import clock, database, logs, once, redis
from workers.foundation.errors import error_code, safe_message
from workers.foundation.moments import Moment
from workers.scaling.adapters import actuators
from workers.scaling.rules.actions import Action
from workers.scaling.rules.decision import State
from workers.scaling.rules.leads import longest_lead
from workers.scaling.rules.orders import Kind, Order
from workers.scaling.rules.policy import Policy
from workers.scaling.store import actions as store
from workers.scaling.store import gateways, orders
from workers.scaling.usecases.modes import in_shadow
from workers.weddings.rules import EVERYWHERE
from workers.weddings.store import weddings

log = logs.get("scaling")

#: How long a run may carry out, in seconds, and hold the lease: what was begun last ends by its calls' patience, or the task's.
AT_ONCE, HELD = 10.0, timedelta(seconds=30)


def see_to_it(policy: Policy, *, now: Moment, drift: bool = False) -> None:
    """Have what was decided carried out and confirmed, also when Redis or a real system lost it.

    With `drift` what was confirmed is looked at again: a system that was set by somebody else is set back. Regions that are
    only watched are left alone.
    """
    with once.held("scaling.carry_out", token=token_hex(8), ttl=HELD) as lease:
        if lease is None:
            return
        with database.transaction() as db:
            wanted, given = store.latest(db).values(), orders.standing(db, at=now)
            held = _held(db, policy, given, now)
            watched = in_shadow(db, policy, given, also=[action.region for action in wanted])
        ours = [action for action in wanted if action.region not in watched and action.resource in actuators.managed()]
        try:
            _tell(ours, watched, held, policy)
        except redis.UNREACHABLE as error:
            # What real systems should have does not wait for gateways.
            log.warning("gateways not told", reason="redis", detail=str(error))
        begun = clock.stopwatch()
        # What hangs is tried last, so that it keeps nothing else waiting.
        for action in sorted(ours, key=lambda one: one.attempts):
            if (action.state is State.CONFIRMED) is drift and clock.stopwatch() - begun < AT_ONCE:
                _carry_out(action, action.region in held, policy, now)


def _held(db: Connection, policy: Policy, given: Mapping[str, Mapping[Kind, Order]], now: Moment) -> set[str]:
    """Return the regions (and EVERYWHERE) from which nothing may be taken: a wedding is near or on, or somebody said so."""
    near = weddings.busy_regions(db, now - policy.linger, now + longest_lead(policy))
    return near | ({EVERYWHERE} if near else set()) | {region for region, kinds in given.items() if Kind.HOLD_IN in kinds}


def _tell(actions: Iterable[Action], watched: Iterable[str], held: Collection[str], policy: Policy) -> None:
    by_region: dict[str, list[Action]] = {}
    for action in actions:
        if action.region != EVERYWHERE:
            by_region.setdefault(action.region, []).append(action)
    for region, ours in by_region.items():
        gateways.tell(region, ours, connections_per_instance=policy.connections_per_instance, lower=region not in held)
    for region in watched:
        gateways.untell(region)


@dataclass(frozen=True)
class _Result:
    """What became of a try: `problem` is None when all real systems have what is wanted; `told` when they were set."""

    problem: str | None
    told: bool = True


def _carry_out(action: Action, held: bool, policy: Policy, now: Moment) -> None:
    result = _bring_about(action, held)
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


class _Waits(Exception):
    """Nothing is taken away now."""


def _bring_about(action: Action, held: bool) -> _Result | None:
    """Have all real systems do what the action wants; None when it waits for a ceremony to end."""
    problems, told = [], True
    for name in actuators.managed().get(action.resource, []):
        try:
            if not _set(actuators.made(name, action.resource), action, held):
                problems.append(f"{name} has not confirmed it yet")
        except _Waits:
            return None
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            # A plug-in may raise anything, and stops nobody else.
            told = False
            problems.append(safe_message(error) or f"{name} failed ({error_code(error)})")
    return _Result("; ".join(problems) or None, told)


def _set(actuator: actuators.Actuator, action: Action, held: bool) -> bool:
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
