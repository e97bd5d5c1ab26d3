"""Protocols, as they are loaded and read."""

from workers.emergencies.rules import Protocols
from workers.emergencies.store import protocols as store
from workers.emergencies.store.protocols import Loaded
from workers.foundation import database, event_log
from workers.foundation.moments import Moment
from workers.weddings.rules.gate import Change
from workers.weddings.store import regions
from workers.weddings.usecases import gate


def current() -> Loaded:
    """Return the protocols that hold beside the default."""
    with database.transaction() as db:
        return store.current(db)


def load(document: Protocols, *, by: str, reason: str, now: Moment) -> int:
    """Have other protocols hold for what is opened from now on, in the place of all that were loaded.

    Return their version. Raises RegionUnknown, GateClosed near weddings.
    """
    with database.transaction() as db:
        gate.require(db, Change.SETTINGS, now=now)
        regions.require(db, (one.region for one in document.protocol if one.region))
        version = store.replace(db, document, requested_by=by, reason=reason, at=now)
    event_log.note(f"emergency protocols, version {version}: {reason}", by=by)
    return version
