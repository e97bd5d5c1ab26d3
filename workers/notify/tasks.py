"""Notifications, as Celery runs them."""

from workers.app import app
from workers.foundation import clock, database, logs
from workers.notify import client, store

log = logs.get("notify")

#: A run stops after this many seconds, well inside its time limit; the next one goes on.
ENOUGH = 10.0


@app.task(name="notify.deliver")
def deliver(**_later: object) -> None:
    """Send what is written and not sent, each in a transaction of its own."""
    begun = clock.stopwatch()
    while clock.stopwatch() - begun < ENOUGH:
        with database.transaction() as db:
            if (notification := store.claim(db, at=clock.machine_now())) is None:
                return
            arrived = client.send(notification.title, notification.body, notification.severity)
            store.tried(db, notification.key, arrived=arrived, at=clock.machine_now())
        if not arrived:
            log.warning("notification failed", key=notification.key, reason="target")
