"""Retention, as Celery runs it."""

from workers.app import app
from workers.foundation import clock, logs
from workers.retention import usecases

log = logs.get("retention")

#: For so many seconds; what is left then goes on the next day.
ENOUGH = 12.0


@app.task(name="retention.forget", maintains=True)
def forget(**_later: object) -> None:
    """Drop what has been over for long, of all rooms."""
    dropped, waiting = usecases.forget(now=clock.now(), machine=clock.machine_now(), seconds=ENOUGH)
    log.info("rows dropped", reason="expired", rows=dropped, more=waiting)
