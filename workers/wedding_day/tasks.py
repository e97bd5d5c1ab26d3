"""Looking at weddings, as Celery runs it: a batch at a time, never a task a wedding."""

from datetime import timedelta

from workers.app import app
from workers.foundation import clock, database
from workers.wedding_day import usecases
from workers.weddings.store import due, weddings

#: Farther away than this, one listing a day's time ahead is early enough.
AHEAD, LATEST = timedelta(days=14), timedelta(hours=3)


@app.task(name="wedding_day.list_due")
def list_due(**_later: object) -> None:
    """List the weddings to come to be looked at, those that are not listed: Redis may have lost them or been away."""
    now = clock.now()
    with database.transaction() as db:
        ahead = weddings.between(db, now - LATEST, now + AHEAD)
    due.list_due(ahead, at=now, anew=False)


@app.task(name="wedding_day.look")
def look(*, wedding_ids: list[str], **_later: object) -> None:
    """See which phase each wedding is in, and have it warm before its people come."""
    with database.transaction() as db:
        found = weddings.by_id(db, wedding_ids)
    usecases.look_at(found, now=clock.now())
