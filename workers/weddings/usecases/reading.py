"""Looking at the calendar."""

from datetime import timedelta

from workers.foundation import database, settings
from workers.foundation.moments import Moment
from workers.weddings.rules import calendar as rules
from workers.weddings.store import weddings as store


def upcoming(within: timedelta, *, now: Moment, limit: int = 50) -> list[tuple[rules.Wedding, rules.Phase]]:
    """Return the weddings that run now or begin within a time, by start, each with its phase."""
    phases = settings.read(rules.Policy)
    with database.transaction() as db:
        found = store.between(db, now, now + within, limit=limit)
    return [(one, rules.phase(one, phases, now=now)) for one in found]


def find(wedding_id: str) -> rules.Wedding:
    """Return a wedding. Raises WeddingUnknown."""
    with database.transaction() as db:
        return store.require(db, wedding_id)
