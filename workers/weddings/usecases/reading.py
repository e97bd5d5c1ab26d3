"""Looking at the calendar."""

from datetime import datetime, timedelta

from workers.foundation import database, settings
from workers.foundation.moments import Moment
from workers.weddings.rules import calendar as rules
from workers.weddings.rules.listing import Asked
from workers.weddings.store import versions
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


def with_version(wedding_id: str) -> tuple[rules.Wedding, int]:
    """Return a wedding and the version of the calendar that it is from. Raises WeddingUnknown."""
    with database.transaction() as db:
        found = versions.with_versions(db, [wedding_id]).get(wedding_id)
    if found is None:
        raise store.WeddingUnknown(wedding_id=wedding_id)
    return found


def page(asked: Asked, *, after: tuple[datetime, str] | None, limit: int) -> list[tuple[rules.Wedding, int]]:
    """Return weddings by start and id, from behind a place on, and one more where there are more."""
    with database.transaction() as db:
        return versions.page(db, asked, after=after, limit=limit + 1)
