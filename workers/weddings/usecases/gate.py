"""May something be changed now? And who says so though weddings are near."""

from datetime import timedelta

from sqlalchemy import Connection

from workers.foundation import database, settings
from workers.foundation.errors import storable
from workers.foundation.moments import Moment
from workers.journal import store as journal
from workers.weddings.formats.events import GateOverridden
from workers.weddings.rules.gate import Change, Policy, Verdict, decide
from workers.weddings.store import gate as store
from workers.weddings.store import regions
from workers.weddings.store.gate import Override


def verdict(
    change: Change, region: str = "", *, now: Moment, lasts: timedelta = timedelta(minutes=30)
) -> Verdict:
    """Return whether a change may be made now in a region or (empty) in all, and when for so long.

    Raises RegionUnknown.
    """
    with database.transaction() as db:
        return _verdict(db, change, region, now, lasts)


def _verdict(db: Connection, change: Change, region: str, now: Moment, lasts: timedelta) -> Verdict:
    policy = settings.read(Policy)
    if region:
        regions.require(db, [region])
    found = store.spans(db, now - policy.after, now + policy.ahead + policy.before(change), region)
    until = store.open_until(db, change, region, at=now)
    return decide(change, found, policy, now=now, lasts=lasts, overridden_until=until)


def override(change: Change, region: str, lasts: timedelta, *, by: str, reason: str, now: Moment) -> Verdict:
    """Open the gate for a change for a while; return what that makes of it. Raises RegionUnknown."""
    until = Moment(now + lasts)
    with database.transaction() as db:
        if region:
            regions.require(db, [region])
        store.override(db, Override(change, region, until, storable(by), storable(reason)), at=now)
        event = GateOverridden(change, region, until.isoformat(), storable(by), storable(reason))
        journal.append(db, [event], at=now)
        return _verdict(db, change, region, now, timedelta(minutes=30))
