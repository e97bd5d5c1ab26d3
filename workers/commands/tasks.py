"""Commands, as Celery runs them."""

from workers.app import app

# Both, for what they keep is dropped some time by a job of this app's.
from workers.commands.usecases import answering  # noqa: F401
from workers.commands.usecases import commands as usecases

#: A run stops after this many seconds, well inside its time limit; the next one goes on.
ENOUGH = 10.0


@app.task(name="commands.redeliver")
def redeliver(**_later: object) -> None:
    """Send again what was accepted and has had no effect."""
    usecases.redeliver(ENOUGH)
