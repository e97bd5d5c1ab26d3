"""Permits: whether one is good, and taking some back before they expire."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from threading import Event

from sqlalchemy import Connection

from workers.connections.formats import permits
from workers.connections.formats.events import LIFTED, PermitsRevoked
from workers.connections.formats.permits import LEEWAY, LONGEST, Permit, PermitRefused
from workers.connections.rules.revocations import Revocation, Whose
from workers.connections.store import revocations as store
from workers.foundation import clock, database
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.event_log import Happening
from workers.foundation.moments import MachineMoment, Moment
from workers.journal import store as journal
from workers.weddings.rules.calendar import ID, ID_REMEDY, NAME, NAME_REMEDY

#: Of a key that somebody stole: until then it is out of CONNECTIONS_PERMIT_KEYS everywhere.
KEY_FOR = timedelta(days=30)


class RevocationRefused(ExpectedError):
    """{whose}={id!r} is none: {remedy}"""

    http_status = 422


class NotRevoked(ExpectedError):
    """nothing of {whose} {id!r} is revoked"""

    http_status = 404


def read(token: str, revoked: Iterable[Revocation] | None = None) -> Permit:
    """Return what a token permits. Raises PermitRefused, also for one that was taken back.

    Who keeps at hand what is `revoked` passes it; the others ask the server.
    """
    permit = permits.read(token)
    if permit.is_revoked(store.current() if revoked is None else revoked, at=clock.epoch()):
        raise PermitRefused(why="token_revoked", remedy="ask the platform for a new permit")
    return permit


def renew(permit: Permit, token: str) -> Permit:
    """Return the permit that takes the place of one whose connection is open. Raises PermitRefused.

    It must be for the same person at the same wedding: a connection's rights do not change while it is open.
    """
    renewed = read(token)
    if renewed.who() != permit.who():
        raise PermitRefused(
            why="wrong_person", remedy="renew with a permit for the same person, role and wedding"
        )
    return renewed


def follow(until: Event) -> None:
    """Keep what is revoked at hand, until an event is set."""
    store.follow(until)


def revoke(whose: Whose, id: str, *, by: str, reason: str, now: Moment, machine: MachineMoment) -> Revocation:
    """Take back all permits of a user, a wedding or a key that were issued until now.

    Gateways close their connections within a second. Raises RevocationRefused, DatabaseUnavailable.
    """
    allowed, remedy = (ID, ID_REMEDY) if whose is Whose.WEDDING else (NAME, NAME_REMEDY)
    if not allowed.fullmatch(id):
        raise RevocationRefused(whose=whose, id=id[:40], remedy=f"it must be {remedy}")
    at, lasts = machine.timestamp(), KEY_FOR if whose is Whose.KEY else LONGEST
    # The clock of who issues may be ahead, and as much is allowed for when one is read.
    one = Revocation(whose, id, at + LEEWAY, at + lasts.total_seconds() + 2 * LEEWAY)
    with database.transaction() as db:
        event = PermitsRevoked(whose, id, storable(by), storable(reason))
        journal.append(db, [event], at=now)
        # Before it is committed: what is in force and not written down is better than the other way round.
        store.revoke(one)
    return one


def lift(whose: Whose, id: str, *, by: str, now: Moment) -> None:
    """Let permits be good again that were taken back. Raises NotRevoked."""
    with database.transaction() as db:
        if not store.lift(whose, id):
            raise NotRevoked(whose=whose, id=id[:40])
        journal.append(db, [PermitsRevoked(whose, id, storable(by), LIFTED)], at=now)


def revoked() -> list[Revocation]:
    """Return what is taken back now."""
    return store.read()


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return what was taken back and given back from a moment on, for people."""
    found = []
    for one in journal.since(db, since, [PermitsRevoked.name], limit=limit):
        whose, id, by, reason = (one.body[name] for name in ("whose", "id", "by", "reason"))
        outcome = "are good again" if reason == LIFTED else f"revoked: {reason}"
        wedding_id = id if whose == Whose.WEDDING else ""
        found.append(Happening(one.at, f"permits of {whose} {id} {outcome}", wedding_id=wedding_id, by=by))
    return found
