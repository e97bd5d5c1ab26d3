"""Looking at weddings, as Celery runs it: a batch at a time, never a task a wedding."""

from workers.app import app
from workers.foundation import clock, database
from workers.wedding_day import actions
from workers.weddings import store as weddings


@app.task(name="wedding_day.look")
def look(*, wedding_ids: list[str], **_later: object) -> None:
    """See which phase each wedding is in, and have it warm before its people come."""
    with database.transaction() as db:
        found = weddings.by_id(db, wedding_ids)
    actions.look_at(found, now=clock.now())
