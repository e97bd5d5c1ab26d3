"""What happened in the calendar, for people."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from workers.foundation.event_log import Happening
from workers.journal import store as journal
from workers.weddings.formats.events import GateOverridden, TimelineChanged, WeddingChanged


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return which weddings and timelines were changed, and who opened the gate, from a moment on."""
    found = list(_changed(db, since, limit=limit))
    for one in journal.since(db, since, [TimelineChanged.name, GateOverridden.name], limit=limit):
        body = one.body
        if one.name == TimelineChanged.name:
            what = f"timeline of {body['wedding_id']} changed: {body['moments']} moments"
            found.append(Happening(one.at, what, wedding_id=body["wedding_id"], by=body["by"]))
        else:
            what = f"gate for {body['change']} opened until {body['until'][:16]}Z: {body['reason']}"
            found.append(Happening(one.at, what, region=body["region"], by=body["by"]))
    return found


def _changed(db: Connection, since: datetime, *, limit: int) -> Iterator[Happening]:
    """Yield which weddings differ from what they were; a season that came in is no happening for people."""
    for one in journal.since(db, since, [WeddingChanged.name], limit=limit):
        if not one.body["is_new"]:
            id, fields = one.body["wedding_id"], ", ".join(one.body["fields"])
            yield Happening(one.at, f"{id} changed: {fields}", wedding_id=id, by=one.body["by"])
