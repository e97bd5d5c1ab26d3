"""Finding what changed."""

from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from workers.foundation import settings
from workers.seasons import rules, store
from workers.weddings import store as weddings


def detect(db: Connection, *, now: datetime) -> dict[str, rules.Decision]:
    """Find the season of each region from its bookings and its load; remember and return those that changed."""
    policy, by_region = settings.read(rules.Policy, "SEASONS_"), dict[str, list[tuple[date, int]]]()
    for region, day, count in weddings.bookings(db, now - timedelta(days=183), now + timedelta(days=190)):
        by_region.setdefault(region, []).append((day, count))
    loads, before = store.observed(db, since=now.date() - timedelta(days=366)), store.current(db)
    found = {
        name: rules.decide(name, days, policy, today=now.date(), loads=loads.get(name, ()), before=before.get(name))
        for name, days in by_region.items()
    }
    return {region: found[region] for region in store.record(db, found, at=now)}
