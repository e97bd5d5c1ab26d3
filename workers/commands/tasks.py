"""Commands, as Celery runs them."""

from workers.app import app
from workers.commands import usecases

#: A run stops after this many seconds, well inside its time limit; the next one goes on.
ENOUGH = 10.0


@app.task(name="commands.redeliver")
def redeliver(**_later: object) -> None:
    """Send again what was accepted and has had no effect."""
    usecases.redeliver(ENOUGH)
