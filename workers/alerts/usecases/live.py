"""Publishing each change of an alert to who listens live.

Best effort, beside the notifications that are not.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from workers.alerts import adapters
from workers.alerts.formats import AlertChanged, broadcast
from workers.alerts.store import alerts as store
from workers.foundation import settings
from workers.journal import usecases as journal
from workers.journal.rules import Entry as Happened
from workers.outbox import store as outbox
from workers.outbox import usecases as sending
from workers.outbox.rules import Entry, Message, Outcome, Result, Retry

#: What the journal and the outbox call it.
READER, KIND = "alerts.live", "broadcast"
#: Who listens live wants to know of now: what is older than this is in `wedops timeline`.
LASTS = timedelta(minutes=5)
RETRY = Retry(timedelta(seconds=2), lease=timedelta(seconds=10))


def publish(seconds: float) -> None:
    """Broadcast what changed since the last time, for some seconds at most."""
    journal.read(READER, _write, seconds=seconds)
    sending.deliver(KIND, _send, RETRY, seconds=seconds)


def _write(db: Connection, happened: list[Happened]) -> None:
    if not settings.read(adapters.Policy).address:
        return
    changes = [one for one in happened if one.name == AlertChanged.name]
    alerts = store.facts(db, {one.body["alert_id"] for one in changes})
    messages = [
        broadcast(one, alerts[one.body["alert_id"]]) for one in changes if one.body["alert_id"] in alerts
    ]
    some = [messages[first : first + adapters.MAX] for first in range(0, len(messages), adapters.MAX)]
    outbox.write(db, map(_message, some))


def _message(changes: list[dict[str, Any]]) -> Message:
    key = f"{KIND}/{changes[0]['id']}-{changes[-1]['id']}"
    return Message(key, KIND, {"changes": changes}, adapters.TOPIC, lasts=LASTS)


def _send(entry: Entry) -> Result:
    adapters.broadcast(entry.body["changes"])
    return Result(Outcome.SENT)
