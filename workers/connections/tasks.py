"""Connections, as Celery runs them."""

from typing import Any

from sqlalchemy import Connection

from workers.app import Task, app
from workers.commands.usecases import commands
from workers.connections.formats.commands import PreparePeak
from workers.connections.usecases import peak, service, upkeep
from workers.foundation import clock, logs

log = logs.get("connections")


@app.task(name="connections.sweep")
def sweep(**_later: object) -> None:
    """End the connections that nobody holds any more, and have their gateways close them."""
    if ended := upkeep.sweep():
        log.info("connections ended", count=ended, reason="abandoned")


@app.task(name="connections.restore")
def restore(**_later: object) -> None:
    """Load functions and limits again on a server that was replaced or emptied; beat has this done."""
    log.warning("functions loaded", libraries=upkeep.restore(), reason="missing")


@app.task(name="connections.snapshot")
def snapshot(**_later: object) -> None:
    """Write what is open, and what went by since the last time, to PostgreSQL: a row a region."""
    upkeep.snapshot(now=clock.now(), machine=clock.machine_now())


@app.task(name="connections.publish_levels")
def publish_levels(**_later: object) -> None:
    """Publish what admission obeys, and what each class of users gets in the phase of their wedding."""
    service.publish_levels(now=clock.now())


@app.task(name=PreparePeak.task, bind=True)
def prepare_peak(self: Task, **fields: Any) -> None:
    """Make room for a peak of so many connections until a moment."""

    def _prepare(_db: Connection, command: PreparePeak, _key: str) -> str:
        plan, _warmed = peak.prepare_peak(command.connections, command.until, now=clock.now())
        return f"room for {plan.needed} connections"

    commands.run(PreparePeak, fields, _prepare, task_id=self.request.id)


@app.task(name="connections.audit")
def audit(**_later: object) -> None:
    """Count every record anew; what drifted is put right, and said loudly: it must never happen."""
    upkeep.audit()
