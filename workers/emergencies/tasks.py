"""Emergencies, as Celery runs them, on a worker of their own."""

from typing import Any

from sqlalchemy import Connection

from workers.app import Task, app
from workers.commands.usecases import commands
from workers.emergencies import rules
from workers.emergencies.formats import OpenEmergency
from workers.emergencies.usecases import running
from workers.foundation import clock, settings


@app.task(name=OpenEmergency.task, bind=True)
def open_emergency(self: Task, **fields: Any) -> None:
    """Open an emergency of a wedding: its protocol begins, and people are notified."""

    def _open(db: Connection, command: OpenEmergency, key: str) -> str:
        by = commands.caller(db, key)
        return f"emergency {running.open_emergency(db, command, key, by=by, now=clock.now())}"

    commands.run(OpenEmergency, fields, _open, task_id=self.request.id)
    running.reconcile_modes(now=clock.now())


@app.task(name="emergencies.escalate")
def escalate(**_later: object) -> None:
    """Notify people of each deadline that passed, and bring emergency modes to what emergencies want."""
    now = clock.now()
    running.escalate(settings.read(rules.Policy), now=now)
    running.reconcile_modes(now=now)
