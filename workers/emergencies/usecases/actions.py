"""What steps do by themselves, and what ends with their emergencies."""

from datetime import timedelta

from sqlalchemy import Connection

from workers.connections.rules.modes import scope
from workers.connections.store import modes
from workers.connections.usecases import service as connections
from workers.delivery.formats import SendMessage
from workers.delivery.usecases import closing, sending
from workers.emergencies.rules import Action, StepState
from workers.emergencies.store import emergencies as store
from workers.emergencies.store import steps
from workers.emergencies.store.emergencies import Emergency
from workers.foundation import database
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.scaling.rules.orders import Kind, Order
from workers.scaling.store import orders
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings

#: Who orders what emergencies need: one for all, for several may need the same.
CALLER = "emergencies"


class ActionFailed(ExpectedError):
    """{why}; do it by hand"""


def do(
    db: Connection, action: Action, emergency: Emergency, wedding: Wedding, number: int, *, now: Moment
) -> str:
    """Do what a step does by itself, once; return in words what was done. Raises ActionFailed."""
    done = []
    if action.send:
        done.append(_send(db, action, emergency, number, now))
    if action.hold_capacity_minutes:
        done.append(_hold(db, timedelta(minutes=action.hold_capacity_minutes), emergency, wedding, now))
    if action.emergency_mode_minutes:
        # By `reconcile_modes`, once this is committed: what is in Redis is not rolled back.
        done.append(f"guests of {wedding.id} give way")
    return "; ".join(done)


def _send(db: Connection, action: Action, emergency: Emergency, number: int, now: Moment) -> str:
    fields = {"wedding_id": emergency.wedding_id, **dict(action.send or {})}
    key, sender = f"emergency-{emergency.id}-{number}", _sender(emergency)
    try:
        with db.begin_nested():
            message = sending.write(db, SendMessage.model_validate(fields), key, sender=sender, now=now)
    except database.DatabaseUnavailable:
        raise
    except ExpectedError as error:
        raise ActionFailed(why=f"no message was sent ({error})") from error
    return f"message {message.identifier} was sent"


def _sender(emergency: Emergency) -> str:
    return f"emergency {emergency.id}"


def end_messages(db: Connection, emergency: Emergency) -> None:
    """Have what an emergency sent hold no longer."""
    closing.end(db, _sender(emergency))


def _hold(db: Connection, lasts: timedelta, emergency: Emergency, wedding: Wedding, now: Moment) -> str:
    until, active = now + lasts, orders.active(db, at=now).get(wedding.region, {}).get(Kind.SUSPEND_SCALE_IN)
    if active and active.requested_by != CALLER:
        ends = f"until {active.until:%H:%M}Z" if active.until else "until it is ended"
        return f"{wedding.region} is not scaled in {ends}, as {active.requested_by} ordered"
    if active is None or (active.until and active.until < until):
        reason = f"{emergency.kind} emergency at {wedding.id}"
        orders.give(db, Order(wedding.region, Kind.SUSPEND_SCALE_IN, reason, CALLER, now, until))
    return f"{wedding.region} is not scaled in"


def end_holds(db: Connection, region: str, *, now: Moment) -> None:
    """Have a region be scaled in again, unless another open emergency there holds its capacity."""
    active = orders.active(db, at=now).get(region, {}).get(Kind.SUSPEND_SCALE_IN)
    if active and active.requested_by == CALLER:
        held = {one.wedding_id for one, action, _ in _done(db) if action.hold_capacity_minutes}
        if region not in {one.region for one in weddings.by_id(db, held)}:
            orders.end(db, region, Kind.SUSPEND_SCALE_IN, by=CALLER, at=now)


def _done(db: Connection) -> list[tuple[Emergency, Action, Moment]]:
    """Return what open emergencies did by themselves, and when."""
    found = store.active(db)
    own = steps.of(db, [one.id for one in found])
    return [
        (one, step.action, step.settled_at)
        for one in found
        for step in own[one.id]
        if step.action and step.settled_at and step.state is StepState.COMPLETED
    ]


def reconcile_modes(*, now: Moment) -> None:
    """Bring emergency modes to what open emergencies want: what they want no more is ended."""
    with database.transaction() as db:
        done = _done(db)
    wanted = {
        scope(one.wedding_id): (one, left)
        for one, action, at in done
        if (left := at + timedelta(minutes=action.emergency_mode_minutes) - now) > timedelta(0)
    }
    active = modes.active()
    for where in [one.scope for one in active.values() if one.owner == CALLER and one.scope not in wanted]:
        connections.end_emergency_mode(where, by=CALLER, now=now)
    for where in wanted.keys() - active.keys():
        one, left = wanted[where]
        reason = f"{one.kind} emergency {one.id}"
        connections.begin_emergency_mode(where, owner=CALLER, reason=reason, lasts=left, now=now)
