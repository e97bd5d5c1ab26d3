"""Seasons, as Celery runs them."""

from workers.app import app
from workers.foundation import clock, database, logs, settings, telemetry
from workers.seasons import store, usecases
from workers.seasons.rules import season as rules
from workers.weddings.store import weddings

log = logs.get("seasons")


@app.task(name="seasons.detect")
def detect(**_later: object) -> None:
    """Find the season of each region from its bookings and load; a peak that begins is warmed up for."""
    with database.transaction() as db:
        changed = usecases.detect(db, now=clock.now())
    for region, decision in changed.items():
        telemetry.decisions.labels("seasons", decision.reason).inc()
        log.info("season changed", region=region, to=decision.season, reason=decision.reason, index=decision.index)
        if decision.season is rules.Season.PEAK:
            usecases.warm(region, now=clock.now())


@app.task(name="seasons.publish_day")
def publish_day(**_later: object) -> None:
    """Tell beat what kind of day it is, so that every job keeps its pace."""
    now, policy = clock.now(), settings.read(rules.Policy)
    with database.transaction() as db:
        near = weddings.between(db, now - policy.near_after, now + policy.near_before, most=1)
        kind, reason = rules.kind_of_day(near, store.current(db).values(), policy, now=now)
    if before := store.publish_day(kind, reason):
        log.info("kind of day changed", before=before, to=kind, reason=reason)
