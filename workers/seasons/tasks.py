"""Seasons, as Celery runs them."""

from datetime import date, timedelta

from workers.app import app
from workers.foundation import clock, database, logs, settings, telemetry
from workers.seasons import rules, store
from workers.weddings import store as weddings

log = logs.get("seasons")


@app.task(name="seasons.detect")
def detect(**_later: object) -> None:
    """Find the season of each region from its bookings, and remember what changed."""
    now, policy, by_region = clock.now(), settings.read(rules.Policy, "SEASONS_"), dict[str, list[tuple[date, int]]]()
    with database.transaction() as db:
        for region, day, count in weddings.bookings(db, now - timedelta(days=183), now + timedelta(days=183)):
            by_region.setdefault(region, []).append((day, count))
        found = {name: rules.decide(name, days, policy, today=now.date()) for name, days in by_region.items()}
        changed = store.record(db, found, at=now)
    for region, season in changed.items():
        telemetry.decisions.labels("seasons", found[region].reason).inc()
        log.info("season changed", region=region, to=season, reason=found[region].reason, index=found[region].index)


@app.task(name="seasons.tell_day")
def tell_day(**_later: object) -> None:
    """Tell beat what kind of day it is, so that every job keeps its pace."""
    now, policy = clock.now(), settings.read(rules.Policy, "SEASONS_")
    with database.transaction() as db:
        near = weddings.between(db, now - policy.near_after, now + policy.near_before, most=1)
        kind, reason = rules.kind_of_day(near, store.current(db).values(), policy, now=now)
    if before := store.tell_day(kind, reason):
        log.info("kind of day changed", before=before, to=kind, reason=reason)
