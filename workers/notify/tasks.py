"""Notifications, as Celery runs them."""

from workers.app import app
from workers.foundation import clock, database, logs
from workers.notify import client, store

log = logs.get("notify")

#: A run sends at most this many; the next one sends the rest.
MOST = 50


@app.task(name="notify.deliver")
def deliver(**_later: object) -> None:
    """Send what is written and not sent, each in a transaction of its own."""
    begun = clock.now()
    for _ in range(MOST):
        with database.transaction() as db:
            if (notification := store.claim(db, untried_since=begun)) is None:
                return
            arrived = client.send(notification.title, notification.body, notification.severity)
            store.tried(db, notification.key, arrived=arrived, at=clock.now())
        if not arrived:
            log.warning("notification failed", key=notification.key, reason="target")
