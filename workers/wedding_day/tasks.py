"""Looking at weddings, as Celery runs it: a batch at a time, never a task a wedding."""

from workers.app import app
from workers.foundation import clock
from workers.wedding_day import usecases


@app.task(name="wedding_day.list_due")
def list_due(**_later: object) -> None:
    """List the weddings to come to be looked at, those that are not listed or too late.

    Redis may have lost them or been unavailable.
    """
    usecases.list_due(now=clock.now())


@app.task(name="wedding_day.look")
def look(**_later: object) -> None:
    """See which phase weddings are in whose turn it is, and have them warm before their people come."""
    usecases.look(now=clock.now())
