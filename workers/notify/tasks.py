"""Notifications, as Celery runs them."""

from workers.app import app
from workers.foundation import clock, database, logs
from workers.notify import actions, client, store

log = logs.get("notify")

#: A run stops after this many seconds, well inside its time limit; the next one goes on.
ENOUGH = 10.0


@app.task(name="notify.deliver")
def deliver(**_later: object) -> None:
    """Send what is written and not sent, each in a transaction of its own; a channel that fails is left for the next run."""
    begun, failing = clock.stopwatch(), set[str]()
    while clock.stopwatch() - begun < ENOUGH:
        with database.transaction() as db:
            waiting = store.claim(db, client.policy(), at=clock.machine_now(), but=failing)
            if waiting is None:
                return
            arrived = actions.send(db, waiting)
            store.tried(db, waiting.key, arrived=arrived, at=clock.machine_now())
        if not arrived:
            failing.add(waiting.channel)
            log.warning("notification failed", key=waiting.key, channel=waiting.channel, reason="target")
