"""Applying what was decided.

Published to gateways, and set at real systems by the outbox, until it is confirmed.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex

from billiard.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection

from workers.foundation import clock, database, logs, once, redis, settings
from workers.foundation.errors import error_code, safe_message
from workers.foundation.moments import Moment
from workers.outbox import store as outbox
from workers.outbox import usecases as sending
from workers.outbox.rules import Entry, Message, Outcome, Result, Retry
from workers.scaling.adapters import actuators
from workers.scaling.rules.actions import Action
from workers.scaling.rules.decision import State
from workers.scaling.rules.leads import longest_lead
from workers.scaling.rules.orders import Kind, Order
from workers.scaling.rules.policy import Policy
from workers.scaling.store import actions as store
from workers.scaling.store import gateways, orders
from workers.scaling.usecases.modes import in_shadow
from workers.weddings.rules.calendar import EVERYWHERE
from workers.weddings.store import regions as calendar_regions

log = logs.get("scaling")

#: What the outbox calls an action, and how it is tried again; also how often one is looked at that takes its
#: time.
KIND, RETRY = "action", Retry(timedelta(seconds=5), lease=timedelta(seconds=40))


@dataclass(frozen=True)
class _Wanted:
    """What there should be now: the actions that are to be in effect, and what keeps them from it.

    `latest` has the ids of the last action of each resource, also where a region is only watched; `held` the
    regions (and EVERYWHERE) from which nothing may be taken; `watched` those that are only watched.
    """

    actions: list[Action]
    latest: Collection[int]
    held: Collection[str]
    watched: Collection[str]


def _wanted(db: Connection, policy: Policy, now: Moment) -> _Wanted:
    latest, given = store.latest(db).values(), orders.active(db, at=now)
    watched = in_shadow(db, policy, given, also=[action.region for action in latest])
    ours = [one for one in latest if one.region not in watched and one.resource in actuators.managed()]
    return _Wanted(ours, {one.id for one in latest}, _held(db, policy, given, now), watched)


def _held(db: Connection, policy: Policy, given: Mapping[str, Mapping[Kind, Order]], now: Moment) -> set[str]:
    """Return the regions (and EVERYWHERE) from which nothing may be taken.

    A wedding is near or on, or somebody said so.
    """
    near = calendar_regions.busy(db, now - policy.linger, now + longest_lead(policy))
    return (
        near
        | ({EVERYWHERE} if near else set())
        | {region for region, kinds in given.items() if Kind.SUSPEND_SCALE_IN in kinds}
    )


def publish(policy: Policy, *, now: Moment) -> None:
    """Publish to gateways what there should be, and have the outbox apply what is not confirmed.

    Safe to repeat. Also when Redis lost it. Regions that are only watched are left alone.
    """
    with database.transaction() as db:
        wanted = _wanted(db, policy, now)
        outbox.write(db, [message(one) for one in wanted.actions if one.state is not State.CONFIRMED])
    try:
        _to_gateways(wanted, policy)
    except redis.UNREACHABLE as error:
        # What real systems should have does not wait for gateways.
        log.warning("gateways not reached", reason="redis", detail=str(error))


def message(action: Action, again: str = "") -> Message:
    """Return what the outbox keeps of an action that is to be applied.

    `again` is for one that was confirmed before.
    """
    key = f"{KIND}/{action.id}" + (f"/{again}" if again else "")
    return Message(key, KIND, {"action_id": action.id}, f"{action.region}/{action.resource}")


def _to_gateways(wanted: _Wanted, policy: Policy) -> None:
    by_region: dict[str, list[Action]] = {}
    for action in wanted.actions:
        if action.region != EVERYWHERE:
            by_region.setdefault(action.region, []).append(action)
    for region, ours in by_region.items():
        lower = region not in wanted.held
        gateways.publish(region, ours, connections_per_instance=policy.connections_per_instance, lower=lower)
    for region in wanted.watched:
        gateways.withdraw_desired(region)


def correct_drift(policy: Policy, *, now: Moment) -> None:
    """Have what was confirmed be applied again where a real system has something else by now.

    A hand or a restart set it.
    """
    with database.transaction() as db:
        wanted = _wanted(db, policy, now)
    for action in wanted.actions:
        if action.state is State.CONFIRMED and (problem := _drift(action, action.region in wanted.held)):
            log.warning(
                "drift",
                region=action.region,
                resource=action.resource,
                to=action.to,
                reason="changed_by_another",
            )
            with database.transaction() as db:
                store.move(db, action, State.APPROVED, at=now, problem=problem)
                outbox.write(db, [message(action, f"drift/{now:%Y%m%dT%H%M%S}")])


def _drift(action: Action, held: bool) -> str:
    """Return how the real systems differ from a confirmed action.

    Empty when they don't, or must be left alone.
    """
    try:
        found = _apply_with_held(action, held, dry_run=True)
    except _Waits:
        return ""
    # What can't be looked at is not known to differ.
    return found.problem or "" if found.published else ""


def apply(seconds: float) -> None:
    """Apply what is due, for some seconds at most."""
    sending.deliver(KIND, _send, RETRY, seconds=seconds)


def _send(entry: Entry) -> Result:
    """Apply an action, unless somebody else just applies one of the same resource.

    An older one must not end after it.
    """
    try:
        lease = once.take(f"scaling.apply/{entry.recipient}", token=token_hex(8), ttl=RETRY.lease)
    except redis.UNREACHABLE:
        # It is back soon or an alert; no failure of the real system.
        lease = None
    if lease is None:
        return Result(Outcome.POSTPONED)
    try:
        return _send_alone(entry)
    finally:
        with suppress(*redis.UNREACHABLE):
            once.drop(lease)


def _send_alone(entry: Entry) -> Result:
    policy, now = settings.read(Policy), clock.now()
    with database.transaction() as db:
        wanted = _wanted(db, policy, now)
    action = next((one for one in wanted.actions if one.id == entry.body["action_id"]), None)
    if entry.body["action_id"] not in wanted.latest:
        return Result(Outcome.SENT)
    if action is None:
        # Only watched now, or nobody's: what was before may hold again.
        return Result(Outcome.POSTPONED)
    try:
        found = _apply_with_held(action, action.region in wanted.held)
    except _Waits:
        return Result(Outcome.POSTPONED)
    _note(action, found, policy, now)
    if found.problem is None:
        return Result(Outcome.SENT)
    # What takes its time is looked at, what fails is left alone for a while.
    return Result(Outcome.POSTPONED) if found.published else Result(Outcome.FAILED, found.problem)


@dataclass(frozen=True)
class _Found:
    """What became of a try.

    `problem` is None when all real systems have what is wanted; `published` when they were set.
    """

    problem: str | None
    published: bool = True


def _note(action: Action, found: _Found, policy: Policy, now: Moment) -> None:
    """Remember a try with the action.

    One that has no effect for long has failed, and is tried all the same.
    """
    state = State.APPLIED if found.published else State.APPROVED
    old = now - action.created_at >= policy.confirm_within
    if not found.problem:
        state = State.CONFIRMED
    elif action.state is State.FAILED or (old and action.attempts + 1 >= policy.attempts_max):
        state = State.FAILED
    if (state, found.problem) == (action.state, action.problem) and state is State.FAILED:
        return
    with database.transaction() as db:
        store.move(db, action, state, at=now, problem=found.problem)
    say = log.warning if state is State.FAILED else log.info
    say(
        "action",
        action=action.id,
        region=action.region,
        resource=action.resource,
        to=action.to,
        state=state,
        reason=found.problem or "confirmed",
    )


class _Waits(Exception):
    """Nothing is taken away now."""


def _apply_with_held(action: Action, held: bool, *, dry_run: bool = False) -> _Found:
    """Have all real systems do what the action wants, or only look. Raises _Waits until a ceremony ends."""
    problems, published = [], True
    for name in actuators.managed().get(action.resource, []):
        try:
            if not _set(actuators.made(name, action.resource), action, held, dry_run):
                problems.append(f"{name} has not confirmed it yet")
        except (_Waits, SoftTimeLimitExceeded):
            raise
        except Exception as error:
            # A plug-in may raise anything, and stops nobody else.
            published = False
            problems.append(safe_message(error) or f"{name} failed ({error_code(error)})")
    return _Found("; ".join(problems) or None, published)


def _set(actuator: actuators.Actuator, action: Action, held: bool, dry_run: bool) -> bool:
    """Have one real system do it; tell whether it has what is wanted. Raises _Waits."""
    seen = actuator.seen(action)
    if seen == action.to:
        return True
    if seen is not None and seen > action.to:
        if held:
            raise _Waits
        if action.to > action.before and action.confirmed_at is None:
            # It was to have more, and has more than that. What was confirmed once was set otherwise since.
            return True
    if dry_run:
        return False
    actuator.apply(action)
    return actuator.seen(action) == action.to
