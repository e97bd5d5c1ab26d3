"""Protocols, as they are loaded and read."""

from collections.abc import Sequence

from workers.emergencies.rules import Protocol, Protocols
from workers.emergencies.store import protocols as store
from workers.foundation import database
from workers.foundation.moments import Moment


def current() -> tuple[int, Sequence[Protocol]]:
    """Return the version that holds, and its protocols; 0 and none before any was loaded."""
    with database.transaction() as db:
        return store.current(db)


def load(document: Protocols, *, by: str, reason: str, now: Moment) -> int:
    """Have other protocols hold for what is opened from now on; return their version."""
    with database.transaction() as db:
        return store.replace(db, document, requested_by=by, reason=reason, at=now)
