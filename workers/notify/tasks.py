"""Notifications, as Celery runs them."""

from workers.app import app
from workers.notify import usecases

#: A run stops after this many seconds, well inside its time limit; the next one goes on.
ENOUGH = 10.0


@app.task(name="notify.deliver")
def deliver(**_later: object) -> None:
    """Send what is written and not sent; a channel that fails is left for the next run."""
    usecases.deliver(ENOUGH)
