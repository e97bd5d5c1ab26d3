"""What happened in the calendar, for people."""

from datetime import datetime

from sqlalchemy import Connection

from workers.foundation.event_log import Happening
from workers.journal import store as journal
from workers.weddings.formats.events import GateOverridden, TimelineChanged


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return which timelines were changed alone, and who opened the gate, from a moment on."""
    found = []
    for one in journal.since(db, since, [TimelineChanged.name, GateOverridden.name], limit=limit):
        body = one.body
        if one.name == TimelineChanged.name:
            what = f"timeline of {body['wedding_id']} changed: {body['moments']} moments"
            found.append(Happening(one.at, what, wedding_id=body["wedding_id"], by=body["by"]))
        else:
            what = f"gate for {body['change']} opened until {body['until'][:16]}Z: {body['reason']}"
            found.append(Happening(one.at, what, region=body["region"], by=body["by"]))
    return found
