"""Emergencies, as Celery runs them, on a worker of their own."""

from typing import Any

from workers.app import Task, app
from workers.commands import store as requests
from workers.commands import usecases as asked
from workers.commands.rules import messages as contract
from workers.emergencies import rules, store
from workers.foundation import clock, database, logs
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.weddings.store import weddings

log = logs.get("emergencies")


@app.task(name="emergencies.open", bind=True)
def open_emergency(self: Task, **fields: Any) -> None:
    """Open an emergency of a wedding: its protocol begins, and people are told."""
    message = asked.read(contract.OpenEmergency, "emergencies.open", fields)
    key, protocol, now = message.request_key or self.request.id, rules.PROTOCOLS[message.kind], clock.now()
    asked.bind(message, "emergencies.open", key)
    with asked.settling(key), database.transaction() as db:
        wedding_id = weddings.require(db, message.wedding_id).id
        found = store.open_or_join(db, key=key, kind=message.kind, wedding_id=wedding_id, protocol=protocol, at=now)
        if found.new:
            notify.publish(db, _notification(key, message, protocol[0]))
        requests.settle(db, key, at=clock.machine_now(), effect=f"emergency {found.id}")
    log.warning("emergency opened", emergency_id=found.id, kind=message.kind, reason="asked" if found.new else "known")
    app.send_task("notify.deliver", retry=False)


def _notification(key: str, message: contract.OpenEmergency, first: rules.Step) -> Notification:
    title = f"{message.kind} emergency at wedding {message.wedding_id}"
    return Notification(f"emergency/{key}", title, f"first: {first.what} ({first.who})", "critical")
