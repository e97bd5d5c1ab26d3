"""Who hears of an emergency, and what is remembered of it."""

from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from workers.emergencies.formats import EmergencyChanged
from workers.emergencies.store import emergencies as store
from workers.emergencies.store.emergencies import Emergency
from workers.emergencies.store.steps import Due
from workers.foundation.errors import storable
from workers.foundation.moments import Moment
from workers.journal import store as journal
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.weddings.rules.calendar import NAME, Wedding, of_type
from workers.weddings.rules.timeline import owners as owners_of

#: How the names of reminders begin.
OVERDUE = "overdue"
#: Who does what is done by itself.
PROTOCOL = "protocol"


def note(
    db: Connection,
    emergency: Emergency,
    what: str,
    *,
    by: str,
    now: Moment,
    step: int | None = None,
    reason: str = "",
) -> None:
    """Remember that something happened, and append it to the journal."""
    by, reason = storable(by), storable(reason)
    store.note(db, emergency.id, what, at=now, by=by, step=step, reason=reason)
    event = EmergencyChanged(emergency.id, emergency.wedding_id, what, step, by, reason)
    journal.append(db, [event], at=now)


def owners(db: Connection, wedding: Wedding, owner: str) -> list[str]:
    """Return who is notified of a step: the suppliers of its type, who is called so, else the contacts."""
    [found] = notify.reached(db, [(wedding.id, [*of_type(wedding, owner), owner])])
    return found


def is_known(db: Connection, wedding: Wedding, owner: str) -> bool:
    """Tell whether somebody is called so: a role of the wedding, or who has an address."""
    if not NAME.fullmatch(owner):
        return False
    return owner in owners_of(wedding) or bool(notify.addressed(db, [(owner, wedding.id)]))


def notify_owners(
    db: Connection, emergency: Emergency, wedding: Wedding, step: Due, *, again: str = ""
) -> None:
    """Notify who does a step, as `notify_of` does."""
    for recipient in owners(db, wedding, step.owner):
        notify_of(db, emergency, wedding, step, recipient=recipient, again=again)


def notify_of(
    db: Connection, emergency: Emergency, wedding: Wedding, step: Due, *, recipient: str, again: str = ""
) -> None:
    """Notify somebody of a step; `again` names why once more, and makes it another notification."""
    by = step.due_at.astimezone(ZoneInfo(wedding.zone))
    late = "OVERDUE: " if again.startswith(OVERDUE) else ""
    title = f"{late}{emergency.kind} emergency {emergency.id} at {wedding.id}: {step.what}"
    command = f"wedops emergency step {emergency.id} {step.number} complete"
    body = f"step {step.number}, {step.owner}, by {by:%H:%M} ({wedding.zone}). Done: {command}"
    key = "/".join(filter(None, (f"emergency/{emergency.id}", str(step.number), step.owner, again)))
    notification = Notification(key, title, body, "critical", wedding.id)
    notify.publish(db, notification, recipient=recipient, wedding_id=wedding.id)
