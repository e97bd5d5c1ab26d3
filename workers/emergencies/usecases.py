"""What people and services can do about an emergency."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from workers.commands import store as commands
from workers.emergencies import rules, store
from workers.emergencies.formats import OpenEmergency
from workers.foundation import database, logs
from workers.foundation.errors import ExpectedError
from workers.foundation.event_log import Happening
from workers.foundation.moments import Moment
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.weddings.store import weddings

log = logs.get("emergencies")


def open_emergency(db: Connection, command: OpenEmergency, key: str, *, now: Moment) -> int:
    """Open an emergency of a wedding, or join the one of its kind that is open.

    Its protocol begins, and people are notified. Return its id. Raises WeddingUnknown.
    """
    protocol = rules.PROTOCOLS[command.kind]
    wedding_id = weddings.require(db, command.wedding_id).id
    found = store.open_or_join(
        db, key=key, kind=command.kind, wedding_id=wedding_id, protocol=protocol, at=now
    )
    if found.new:
        notify.publish(db, _notification(key, command, protocol[0]))
    log.warning(
        "emergency opened",
        emergency_id=found.id,
        kind=command.kind,
        reason="requested" if found.new else "known",
    )
    return found.id


class EmergencyNotOpen(ExpectedError):
    """no emergency is open {what}; `wedops status` shows those that are"""

    http_status = 404


def close(ids: Collection[int] = (), *, wedding_id: str = "", now: Moment) -> list[int]:
    """Close emergencies by their ids, or all of a wedding; return the ids.

    Raises EmergencyNotOpen, and closes none.
    """
    with database.transaction() as db:
        closed = store.close(db, ids, wedding_id=wedding_id, at=now)
        if missing := sorted(set(ids) - set(closed)):
            raise EmergencyNotOpen(what=f"with id {', '.join(map(str, missing))}")
        if not closed:
            raise EmergencyNotOpen(what=f"at {wedding_id}")
        return closed


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return the emergencies that were opened or closed from a moment on, and who asked for them."""
    known = store.since(db, since, limit=limit)
    callers = commands.callers(db, [one.key for one in known])
    found = []
    for one in known:
        what = f"emergency {one.id} ({one.kind}) at {one.wedding_id}"
        found.append(
            Happening(one.opened_at, f"{what} opened", wedding_id=one.wedding_id, by=callers.get(one.key, ""))
        )
        if one.closed_at:
            found.append(Happening(one.closed_at, f"{what} closed", wedding_id=one.wedding_id))
    return [one for one in found if one.at >= since]


def _notification(key: str, command: OpenEmergency, first: rules.Step) -> Notification:
    title = f"{command.kind} emergency at wedding {command.wedding_id}"
    what = f"first: {first.what} ({first.owner})"
    return Notification(f"emergency/{key}", title, what, "critical", command.wedding_id)
