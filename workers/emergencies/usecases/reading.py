"""Emergencies as people see them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from workers.commands.store import requests as commands
from workers.emergencies.store import emergencies as store
from workers.emergencies.store import steps
from workers.emergencies.store.emergencies import Change, Emergency
from workers.emergencies.store.steps import Due
from workers.foundation import database
from workers.foundation.event_log import Happening
from workers.weddings.store import weddings


@dataclass(frozen=True)
class Shown:
    """An emergency with its steps, and what happened in it."""

    emergency: Emergency
    steps: list[Due]
    changes: list[Change]
    opened_by: str


def active(db: Connection) -> list[tuple[Emergency, list[Due]]]:
    """Return the open emergencies with their steps, the newest first."""
    found = store.active(db)
    own = steps.of(db, [one.id for one in found])
    return [(one, own[one.id]) for one in found]


def listed(wedding_id: str = "", *, limit: int = 20) -> list[tuple[Emergency, list[Due]]]:
    """Return the newest emergencies, of a wedding or of all, with their steps."""
    with database.transaction() as db:
        if wedding_id:
            weddings.require(db, wedding_id)
        found = store.recent(db, wedding_id, limit=limit)
        own = steps.of(db, [one.id for one in found])
    return [(one, own[one.id]) for one in found]


def show(emergency_id: int) -> Shown:
    """Return an emergency. Raises EmergencyUnknown."""
    with database.transaction() as db:
        emergency = store.require(db, emergency_id)
        own = steps.of(db, [emergency_id])[emergency_id]
        caller = commands.callers(db, [emergency.key]).get(emergency.key, "")
        return Shown(emergency, own, store.history(db, emergency_id), caller)


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return what happened in emergencies from a moment on, and who did it."""
    known = store.since(db, since, limit=limit)
    callers = commands.callers(db, [one.key for one, _ in known])
    # The oldest first: what happened in one moment is shown in its order.
    return [
        Happening(
            change.at,
            _line(one, change),
            wedding_id=one.wedding_id,
            by=callers.get(one.key, "") if change.what == "opened" else change.by,
        )
        for one, change in reversed(known)
    ]


def _line(one: Emergency, change: Change) -> str:
    what = f"emergency {one.id} ({one.kind}) at {one.wedding_id}"
    step = f": step {change.step}" if change.step else ""
    reason = f" ({change.reason})" if change.reason and change.what != "opened" else ""
    return f"{what}{step} {change.what}{reason}"
