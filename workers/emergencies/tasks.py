"""Emergencies, as Celery runs them, on a worker of their own."""

from typing import Any

from sqlalchemy import Connection

from workers.app import Task, app
from workers.commands import usecases as commands
from workers.emergencies import rules
from workers.emergencies.formats import OpenEmergency
from workers.emergencies.usecases import running
from workers.foundation import clock, settings


@app.task(name=OpenEmergency.task, bind=True)
def open_emergency(self: Task, **fields: Any) -> None:
    """Open an emergency of a wedding: its protocol begins, and people are notified."""

    def _open(db: Connection, command: OpenEmergency, key: str) -> str:
        return f"emergency {running.open_emergency(db, command, key, now=clock.now())}"

    commands.run(OpenEmergency, fields, _open, task_id=self.request.id)


@app.task(name="emergencies.escalate")
def escalate(**_later: object) -> None:
    """Tell of each deadline of a step that passed."""
    running.escalate(settings.read(rules.Policy), now=clock.now())
