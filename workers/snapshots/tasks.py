"""Snapshots, as Celery runs them."""

from workers.app import app
from workers.foundation import clock, database, logs
from workers.snapshots import usecases

log = logs.get("snapshots")


@app.task(name="snapshots.retain", maintains=True)
def retain(**_later: object) -> None:
    """Make the partitions of the days to come, note the last days' loads, and drop old days."""
    with database.transaction() as db:
        dropped = usecases.retain(db, now=clock.now())
    log.info("retention done", reason="retention", dropped=dropped)
