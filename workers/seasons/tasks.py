"""Seasons, as Celery runs them."""

from workers.app import app
from workers.foundation import clock, database, logs, telemetry
from workers.seasons import usecases
from workers.seasons.rules import season as rules

log = logs.get("seasons")


@app.task(name="seasons.detect")
def detect(**_later: object) -> None:
    """Find the season of each region from its bookings and load; a peak that begins is warmed up for."""
    with database.transaction() as db:
        changed = usecases.detect(db, now=clock.now())
    for region, decision in changed.items():
        telemetry.decisions.labels("seasons", decision.reason).inc()
        log.info(
            "season changed", region=region, to=decision.season, reason=decision.reason, index=decision.index
        )
        if decision.season is rules.Season.PEAK:
            usecases.warm(region, now=clock.now())


@app.task(name="seasons.publish_day")
def publish_day(**_later: object) -> None:
    """Publish to beat what kind of day it is, so that every job keeps its pace."""
    usecases.publish_day(now=clock.now())
