"""An emergency from its opening to its end: steps that are due, done, passed on, overdue."""

from collections.abc import Collection
from dataclasses import replace

from redis.exceptions import RedisError
from sqlalchemy import Connection

from workers.emergencies import rules
from workers.emergencies.formats import OpenEmergency
from workers.emergencies.rules import SETTLED, StepState
from workers.emergencies.store import emergencies as store
from workers.emergencies.store import protocols, steps
from workers.emergencies.store.emergencies import Emergency
from workers.emergencies.store.steps import Due
from workers.emergencies.usecases import actions, notifying
from workers.foundation import database, logs
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.moments import Moment
from workers.notify import usecases as notify
from workers.notify.rules import CONTACTS, OPERATIONS, Notification, steps_due
from workers.weddings.rules.calendar import Wedding, of_type
from workers.weddings.store import weddings

log = logs.get("emergencies")

#: Who hears of a deadline that passed, beside the owner: at once, then each after the other.
LATER = (CONTACTS, OPERATIONS, "operations-lead")
#: Overdue steps of one run.
AT_ONCE = 200


class EmergencyNotOpen(ExpectedError):
    """no emergency {what} is open; `wedops emergency list` shows those that are"""

    http_status = 404


class OwnerUnknown(ExpectedError):
    """nobody is called {owner!r}: name a role (planner, couple, operations, a type of supplier that
    {wedding_id} has), or somebody whom `wedops contacts list` shows"""

    http_status = 422


class StepUnknown(ExpectedError):
    """emergency {emergency_id} has no step {number}; `wedops emergency show {emergency_id}` lists them"""

    http_status = 404


class StepSettled(ExpectedError):
    """step {number} of emergency {emergency_id} is {state} already"""

    http_status = 409


class ReasonMissing(ExpectedError):
    """{what} needs a reason; say it with --reason"""

    http_status = 422


class StepsOpen(ExpectedError):
    """emergency {emergency_id} has steps that must be settled first ({steps}); complete or skip them, or say
    with --reason why it ends without"""

    http_status = 409


def open_emergency(db: Connection, command: OpenEmergency, key: str, *, by: str = "", now: Moment) -> int:
    """Open an emergency of a wedding, or join the one of its kind that is open.

    Operations are notified, and the owner of each step that is due. Return its id. Raises WeddingUnknown.
    """
    wedding = weddings.require(db, command.wedding_id)
    loaded = protocols.current(db)
    found = store.open_or_join(
        db, key=key, kind=command.kind, wedding_id=wedding.id, protocol_version=loaded.version, at=now
    )
    if found.new:
        emergency = store.require(db, found.id)
        planners = of_type(wedding, "planner")
        protocol = rules.choose(loaded.protocols, command.kind, wedding.region, planners)
        steps.write(db, found.id, protocol, at=now)
        notifying.note(db, emergency, "opened", by=by, now=now)
        notify.publish(db, _opened(key, emergency, protocol[0]))
        _advance(db, emergency, wedding, now=now)
    log.warning(
        "emergency opened",
        emergency_id=found.id,
        kind=command.kind,
        reason="requested" if found.new else "known",
    )
    return found.id


def _opened(key: str, emergency: Emergency, first: rules.Step) -> Notification:
    title = f"{emergency.kind} emergency at wedding {emergency.wedding_id}"
    what = f"first: {first.what} ({first.owner}). See wedops emergency show {emergency.id}"
    return Notification(f"emergency/{key}", title, what, "critical", emergency.wedding_id)


def _advance(db: Connection, emergency: Emergency, wedding: Wedding, *, now: Moment) -> None:
    """Do what is due by itself, and notify the owners of all else that is due."""
    known = {one.number: one for one in steps.of(db, [emergency.id])[emergency.id]}
    due = [known[number] for number in rules.ready({n: (one.state, one.after) for n, one in known.items()})]
    for one in due:
        try:
            if not one.action:
                _make_due(db, emergency, wedding, one, reason="", now=now)
                continue
            done = actions.do(db, one.action, emergency, wedding, one.number, now=now)
            _settle(db, emergency, one, StepState.COMPLETED, by=notifying.PROTOCOL, reason=done, now=now)
        except actions.ActionFailed as error:
            # What is not done by itself is its owner's.
            _make_due(db, emergency, wedding, one, reason=str(error), now=now)
    if any(one.action for one in due):
        # What comes after it may be due.
        _advance(db, emergency, wedding, now=now)


def _make_due(
    db: Connection, emergency: Emergency, wedding: Wedding, one: Due, *, reason: str, now: Moment
) -> None:
    steps.change(db, one, state=StepState.DUE, note=reason)
    notifying.note(db, emergency, "due", by=notifying.PROTOCOL, step=one.number, reason=reason, now=now)
    notifying.notify_owners(db, emergency, wedding, one)


def _settle(
    db: Connection, emergency: Emergency, one: Due, state: StepState, *, by: str, reason: str, now: Moment
) -> None:
    settled = {"settled_at": now} if state in SETTLED else {}
    steps.change(db, one, state=state, note=storable(reason), **settled)
    notifying.note(db, emergency, state, by=by, step=one.number, reason=reason, now=now)


def change_step(
    emergency_id: int, number: int, state: StepState, *, by: str, reason: str = "", now: Moment
) -> None:
    """Start, complete or skip a step; what comes after it is due then.

    Raises EmergencyUnknown, EmergencyNotOpen, StepUnknown, StepSettled, ReasonMissing.
    """
    if state is StepState.SKIPPED and not reason:
        raise ReasonMissing(what="skipping a step")
    with database.transaction() as db:
        emergency, wedding, one = _held_step(db, emergency_id, number)
        if one.state is state:
            return
        _settle(db, emergency, one, state, by=by, reason=reason, now=now)
        _advance(db, emergency, wedding, now=now)


def reassign(emergency_id: int, number: int, owner: str, *, by: str, now: Moment) -> None:
    """Give a step to another owner, who is notified at once.

    Raises EmergencyUnknown, EmergencyNotOpen, StepUnknown, StepSettled, OwnerUnknown.
    """
    with database.transaction() as db:
        emergency, wedding, one = _held_step(db, emergency_id, number)
        if not notifying.is_known(db, wedding, owner):
            raise OwnerUnknown(owner=owner[:64], wedding_id=wedding.id)
        steps.change(db, one, owner=owner)
        notifying.note(db, emergency, "reassigned", by=by, step=number, reason=owner, now=now)
        if one.state is not StepState.WAITING:
            again = f"reassigned-{len(store.history(db, emergency_id))}"
            notifying.notify_owners(db, emergency, wedding, replace(one, owner=owner), again=again)


def _held(db: Connection, emergency_id: int) -> Emergency:
    """Return an open emergency, held until the transaction ends."""
    emergency = store.require(db, emergency_id, hold=True)
    if emergency.state != "open":
        raise EmergencyNotOpen(what=f"with id {emergency_id}")
    return emergency


def _held_step(db: Connection, emergency_id: int, number: int) -> tuple[Emergency, Wedding, Due]:
    """Return an open emergency and a step of it that is not settled, held until the transaction ends."""
    emergency = _held(db, emergency_id)
    one = next((one for one in steps.of(db, [emergency_id])[emergency_id] if one.number == number), None)
    if one is None:
        raise StepUnknown(emergency_id=emergency_id, number=number)
    if one.state in SETTLED:
        raise StepSettled(emergency_id=emergency_id, number=number, state=one.state)
    return emergency, weddings.require(db, emergency.wedding_id), one


def close(
    ids: Collection[int] = (), *, wedding_id: str = "", by: str, reason: str = "", now: Moment
) -> list[int]:
    """Close emergencies by their ids, or all of a wedding; return the ids.

    Raises EmergencyUnknown, EmergencyNotOpen, StepsOpen, and closes none.
    """
    with database.transaction() as db:
        ids = [one.id for one in store.active(db, wedding_id)] if wedding_id else sorted(set(ids))
        if not ids:
            raise EmergencyNotOpen(what=f"at {wedding_id}")
        for emergency_id in ids:
            _close(db, emergency_id, by=by, reason=reason, now=now)
    reconcile_modes(now=now)
    return list(ids)


def reconcile_modes(*, now: Moment) -> None:
    """Begin and end the emergency modes that emergencies want; while Redis is unavailable, later."""
    try:
        actions.reconcile_modes(now=now)
    except RedisError as error:
        log.warning("emergency modes wait", reason="redis", detail=str(error))


def _close(db: Connection, emergency_id: int, *, by: str, reason: str, now: Moment) -> None:
    emergency = _held(db, emergency_id)
    left = [
        one
        for one in steps.of(db, [emergency_id])[emergency_id]
        if one.mandatory and one.state not in SETTLED
    ]
    if left and not reason:
        named = "; ".join(f"{one.number}: {one.what}" for one in left)
        raise StepsOpen(emergency_id=emergency_id, steps=named)
    store.close(db, emergency_id, at=now)
    notifying.note(db, emergency, "closed", by=by, reason=reason, now=now)
    actions.end_messages(db, emergency)
    actions.end_holds(db, weddings.require(db, emergency.wedding_id).region, now=now)


def escalate(policy: rules.Policy, *, now: Moment) -> int:
    """Notify of deadlines that passed: owner and the wedding's contacts, operations, then their lead.

    Return of how many steps. Runs any number of times: each of them is notified once.
    """
    with database.transaction() as db:
        late = steps.overdue(db, policy.waits, now=now, limit=AT_ONCE)
        for one in late:
            emergency = store.require(db, one.emergency_id)
            wedding = weddings.require(db, emergency.wedding_id)
            _escalate(db, emergency, wedding, one, policy, now=now)
    return len(late)


def _escalate(
    db: Connection, emergency: Emergency, wedding: Wedding, one: Due, policy: rules.Policy, *, now: Moment
) -> None:
    count, _ = steps_due(policy.waits, one.due_at, now)
    if one.escalated == 0:
        notifying.note(db, emergency, "overdue", by=notifying.PROTOCOL, step=one.number, now=now)
    for number in range(one.escalated, count):
        owners = notifying.owners(db, wedding, one.owner) if number == 0 else []
        for recipient in sorted({LATER[number], *owners}):
            again = f"{notifying.OVERDUE}-{number + 1}"
            notifying.notify_of(db, emergency, wedding, one, recipient=recipient, again=again)
    steps.change(db, one, escalated=count)
