"""What steps do by themselves, and what ends with their emergency."""

from datetime import timedelta

from sqlalchemy import Connection

from workers.connections.rules.modes import scope
from workers.connections.store import modes
from workers.connections.usecases import service as connections
from workers.delivery.formats import SendMessage
from workers.delivery.usecases import sending
from workers.emergencies.rules import Action
from workers.emergencies.store.emergencies import Emergency
from workers.foundation.moments import Moment
from workers.scaling.rules.orders import Kind, Order
from workers.scaling.store import orders
from workers.weddings.rules import Wedding


def owner(emergency: Emergency) -> str:
    """Return in whose name an emergency orders."""
    return f"emergency {emergency.id}"


def do(
    db: Connection, action: Action, emergency: Emergency, wedding: Wedding, number: int, *, now: Moment
) -> str:
    """Do what a step does by itself, once; return in words what was done."""
    done = []
    if action.send:
        done.append(_send(db, action, emergency, number, now))
    if action.hold_capacity_minutes:
        done.append(_hold(db, action, emergency, wedding, now))
    if action.emergency_mode_minutes:
        done.append(_mode(action, emergency, wedding, now))
    return "; ".join(done)


def _send(db: Connection, action: Action, emergency: Emergency, number: int, now: Moment) -> str:
    if action.send is None:
        return ""
    fields = {"wedding_id": emergency.wedding_id, **dict(action.send)}
    key = f"emergency-{emergency.id}-{number}"
    try:
        with db.begin_nested():
            message = sending.write(
                db, SendMessage.model_validate(fields), key, sender=owner(emergency), now=now
            )
    except (sending.AudienceEmpty, sending.AudienceUnknown, sending.MessageExpired) as error:
        return f"no message was sent: {error}"
    return f"message {message.identifier} was sent"


def _hold(db: Connection, action: Action, emergency: Emergency, wedding: Wedding, now: Moment) -> str:
    if orders.active(db, at=now).get(wedding.region, {}).get(Kind.SUSPEND_SCALE_IN):
        return f"{wedding.region} is not scaled in, as somebody ordered"
    until = now + timedelta(minutes=action.hold_capacity_minutes)
    reason = f"{emergency.kind} emergency at {wedding.id}"
    order = Order(wedding.region, Kind.SUSPEND_SCALE_IN, reason, owner(emergency), now, until)
    orders.give(db, order)
    return f"{wedding.region} is not scaled in"


def _mode(action: Action, emergency: Emergency, wedding: Wedding, now: Moment) -> str:
    where = scope(wedding.id)
    active = modes.active().get(where)
    if active and active.owner != owner(emergency):
        return f"emergency mode of {where} is as {active.owner} ordered it"
    connections.begin_emergency_mode(
        where,
        owner=owner(emergency),
        reason=f"{emergency.kind} emergency",
        lasts=timedelta(minutes=action.emergency_mode_minutes),
        now=now,
    )
    return f"guests of {wedding.id} give way"


def undo(db: Connection, emergency: Emergency, wedding: Wedding, *, now: Moment) -> None:
    """End what an emergency ordered, where nobody else ordered it since."""
    active = orders.active(db, at=now).get(wedding.region, {}).get(Kind.SUSPEND_SCALE_IN)
    if active and active.requested_by == owner(emergency):
        orders.end(db, wedding.region, Kind.SUSPEND_SCALE_IN, by=owner(emergency), at=now)
    mode = modes.active().get(scope(wedding.id))
    if mode and mode.owner == owner(emergency):
        connections.end_emergency_mode(mode.scope, by=owner(emergency), now=now)
