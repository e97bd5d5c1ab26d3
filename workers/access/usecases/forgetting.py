"""Deleting what is kept of a wedding or of a person, because they ask for it."""

from collections.abc import Mapping
from dataclasses import dataclass

from workers.caching.usecases import changing
from workers.connections.rules.revocations import Whose
from workers.connections.usecases import permits
from workers.foundation import database
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment, Moment
from workers.retention import store as retention
from workers.weddings.store import weddings

#: What is kept though somebody asks, and why: ids and words, no names and no addresses.
KEPT: Mapping[str, str] = {
    "audit_log": "who did what is evidence (GDPR Art. 17(3)(b), (e))",
    "requests": "which service asked for what is evidence, and a key is known so that nothing is done twice",
    "emergencies": "what was done in an emergency is evidence (Art. 17(3)(e)); it names no person",
    "journal": "35 days, so that no reader misses what it has to take back",
    "moment_reports": "a wedding's go with it; they say which supplier reported, and no person's name",
    "the registry and the cache": "ids of connections end within minutes of them, and half an hour later",
}


class WeddingNear(ExpectedError):
    """wedding {wedding_id!r} is not over: cancel it first, or forget it when it is"""

    http_status = 409


@dataclass(frozen=True)
class Forgotten:
    """How many rows of which tables are gone."""

    rows: Mapping[str, int]


def forget_wedding(wedding_id: str, *, by: str, now: Moment, machine: MachineMoment) -> Forgotten:
    """Delete what is kept of a wedding that is over or cancelled; end its permits; take it out of the cache.

    Raises WeddingUnknown, WeddingNear.
    """
    with database.transaction() as db:
        wedding = weddings.require(db, wedding_id)
        if wedding.ends_at > now and wedding.status != "cancelled":
            raise WeddingNear(wedding_id=wedding_id)
        entries, version = changing.entries_of(db, wedding), weddings.version_of(db)
    # First what may fail: while the rows are there, it can be tried again.
    permits.revoke(Whose.WEDDING, wedding_id, by=by, reason="forgotten", now=now, machine=machine)
    changing.invalidate(entries, version + 1)
    with database.transaction() as db:
        rows = retention.forget_wedding(db, wedding_id, kept=KEPT)
    changing.invalidate(entries, version + 1)
    return Forgotten(rows)


def forget_person(user_id: str, *, by: str, now: Moment, machine: MachineMoment) -> Forgotten:
    """Delete what names a person: where they are reached, and what was sent to them; end their permits."""
    recipients = [user_id, f"guest:{user_id}", f"supplier:{user_id}"]
    permits.revoke(Whose.USER, user_id, by=by, reason="forgotten", now=now, machine=machine)
    with database.transaction() as db:
        rows = retention.forget_person(db, recipients, kept=KEPT)
    return Forgotten(rows)
