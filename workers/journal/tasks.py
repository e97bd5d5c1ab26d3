"""The journal, as Celery runs it."""

from workers.app import app
from workers.foundation import clock, database, logs
from workers.journal import usecases

log = logs.get("journal")


@app.task(name="journal.retain", maintains=True)
def retain(**_later: object) -> None:
    """Make the partitions of the days to come, and drop old days."""
    with database.transaction() as db:
        dropped = usecases.retain(db, now=clock.now())
    log.info("retention done", reason="retention", dropped=dropped)
