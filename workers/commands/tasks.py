"""Requests, as Celery runs them."""

from datetime import timedelta

from workers.app import app
from workers.commands import store, usecases
from workers.foundation import clock, database, logs

log = logs.get("commands")

#: Longer than an emergency's task takes when all is well; a repeat does no harm, for effects have keys.
PATIENCE = timedelta(seconds=10)


@app.task(name="commands.redeliver")
def redeliver(**_later: object) -> None:
    """Send again what was accepted and has had no effect."""
    with database.transaction() as db:
        unsettled = store.unsettled(db, at=clock.machine_now(), patience=PATIENCE)
    if unsettled:
        keys = usecases.send(unsettled)
        log.info("requests sent again", count=len(keys), of=len(unsettled), reason="no_effect_yet")
