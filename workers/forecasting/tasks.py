"""Forecasting, as Celery runs it."""

from workers.app import app
from workers.forecasting import actions, rules, store
from workers.foundation import clock, database, logs, settings
from workers.weddings import store as weddings

log = logs.get("forecasting")


@app.task(name="forecasting.refresh")
def refresh(**_later: object) -> None:
    """Forecast every region's load from the calendar as it is now and from what was seen lately."""
    now = clock.now()
    with database.transaction() as db:
        version = weddings.version_of(db)
        made = store.record(db, actions.forecasts(db, now=now), version=version, at=now)
        store.forget(db, before=now - settings.read(rules.Policy, "FORECASTING_").keep)
    log.info("forecast refreshed", reason="calendar_and_history", regions=made, calendar_version=version)
