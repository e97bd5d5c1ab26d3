"""May something be changed now? And who says so though weddings are near."""

from datetime import timedelta

from sqlalchemy import Connection

from workers.foundation import database, settings
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.moments import Moment
from workers.journal import store as journal
from workers.weddings.formats.events import GateOverridden
from workers.weddings.rules.gate import Change, Override, Policy, Verdict, decide
from workers.weddings.store import gate as store
from workers.weddings.store import regions

#: How far is looked first; for how long somebody may open the gate.
SOON, LONGEST = timedelta(days=2), timedelta(hours=24)


class OverrideTooLong(ExpectedError):
    """the gate is opened for {hours:g} h at most; open it again when that is over"""

    http_status = 422


class GateClosed(ExpectedError):
    """nothing is changed while weddings are near ({weddings} until {until}Z); `wedops gate {change}
    --override 30m --reason …` opens the gate"""

    exit_code = 75
    http_status = 409


def require(db: Connection, change: Change, *, now: Moment) -> None:
    """Raise GateClosed while a change may not be made in all regions."""
    found = _verdict(db, change, "", now, timedelta(minutes=1))
    if not found.is_open:
        until = f"{found.until:%Y-%m-%d %H:%M}" if found.until else "later"
        raise GateClosed(weddings=found.weddings, until=until, change=change)


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
    opened = store.active(db, change, region, at=now)
    spans = store.spans(db, now - policy.after, now + SOON + policy.before(change), region, now=now)
    found = decide(change, spans, policy, now=now, lasts=lasts, override=opened)
    if found.until is not None and found.window and found.window.since + lasts < now + SOON:
        return found
    # The next days do not say it all: what is ahead is read.
    spans = store.spans(db, now - policy.after, now + policy.ahead + policy.before(change), region, now=now)
    return decide(change, spans, policy, now=now, lasts=lasts, override=opened)


def override(
    change: Change, region: str, lasts: timedelta, *, takes: timedelta, by: str, reason: str, now: Moment
) -> Verdict:
    """Open the gate for a change for a while; return what that makes of it.

    Raises RegionUnknown, OverrideTooLong.
    """
    if lasts > LONGEST:
        raise OverrideTooLong(hours=LONGEST.total_seconds() / 3600)
    until = Moment(now + lasts)
    with database.transaction() as db:
        if region:
            regions.require(db, [region])
        store.override(db, Override(change, region, until, storable(by), storable(reason)), at=now)
        event = GateOverridden(change, region, until.isoformat(), storable(by), storable(reason))
        journal.append(db, [event], at=now)
        return _verdict(db, change, region, now, takes)
