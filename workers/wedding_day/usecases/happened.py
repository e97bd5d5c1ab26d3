"""What happened on wedding days, for people."""

from datetime import datetime

from sqlalchemy import Connection

from workers.foundation.event_log import Happening
from workers.journal import store as journal
from workers.wedding_day.formats import DeviationAhead, ModeChanged, MomentReported


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return what was reported, what was warned of, which modes began, from a moment on."""
    found = []
    names = [MomentReported.name, DeviationAhead.name, ModeChanged.name]
    for one in journal.since(db, since, names, limit=limit):
        body = one.body
        if one.name == ModeChanged.name:
            what = f"{body['wedding_id']} is {body['mode'].replace('_', ' ')}"
        elif one.name == MomentReported.name:
            what = f"{body['wedding_id']}: {body['moment'] or body['by']} {body['what']}"
        else:
            late = f"{body['moment']} will probably be {body['minutes']} min late"
            what = f"{body['wedding_id']}: warned that {late}, for {body['because']}"
        found.append(Happening(one.at, what, wedding_id=body["wedding_id"], by=body.get("by", "")))
    return found
