"""Urgent messages, as Celery runs them: those that only the broker brings, and rehearsals."""

from typing import Any

from sqlalchemy import Connection

from workers.app import Task, app
from workers.commands.usecases import commands
from workers.delivery.formats import SendMessage
from workers.delivery.usecases import rehearsing, sending
from workers.foundation import clock, database, logs

log = logs.get("delivery")


@app.task(name=SendMessage.task, bind=True)
def send(self: Task, **fields: Any) -> None:
    """Send an urgent message that came by the broker."""

    sending.count("broker", machine=clock.machine_now())

    def _send(db: Connection, command: SendMessage, key: str) -> str:
        return f"message {sending.write(db, command, key, sender='broker', now=clock.now()).identifier}"

    commands.run(SendMessage, fields, _send, task_id=self.request.id)


@app.task(name="delivery.rehearse")
def rehearse(**_later: object) -> None:
    """Send the exercises that are due, where they are wanted."""
    with database.transaction() as db:
        sent = rehearsing.rehearse(db, now=clock.now())
    log.info("rehearsed", count=sent, reason="schedule")
