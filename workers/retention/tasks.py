"""Retention, as Celery runs it."""

from datetime import timedelta

from workers.app import app
from workers.foundation import clock, logs, settings
from workers.retention import rules, store

log = logs.get("retention")

#: For so many seconds; what is left then goes on the next day.
ENOUGH = 12.0


@app.task(name="retention.forget")
def forget(**_later: object) -> None:
    """Drop what has been over for long, of all rooms."""
    # Some rows have the world's time, some the machine's: they differ in a demo, and what is young by either stays.
    now = min(clock.now(), clock.machine_now())
    keep = timedelta(days=settings.read(rules.Policy).keep_days)
    dropped, waiting = store.drop(before=now - keep, enough=ENOUGH)
    log.info("rows dropped", reason="over", rows=dropped, more=waiting)
