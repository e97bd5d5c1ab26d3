"""Urgent messages by the broadcasts of a stock Supabase deployment, beside our own gateways.

Best effort: receipts say who has them.
"""

from datetime import timedelta

from sqlalchemy import Connection

from workers.connections.rules import channels
from workers.delivery import adapters
from workers.delivery.formats import EVENT, Message, cap
from workers.outbox import store as outbox
from workers.outbox import usecases as sending
from workers.outbox.rules import Entry, Lane, Outcome, Result, Retry
from workers.outbox.rules import Message as ToSend

#: What the outbox calls them.
KIND = "urgent_broadcast"
RETRY = Retry(timedelta(seconds=1), lease=timedelta(seconds=10))


def write(db: Connection, message: Message) -> None:
    """Have a message be broadcast once the transaction commits, where a deployment is named."""
    if adapters.policy().address:
        topic = channels.wedding(message.wedding_id)
        body = {"topic": topic, "event": EVENT, "payload": cap(message), "private": True}
        lasts = message.expires_at - message.sent_at
        key = f"{KIND}/{message.identifier}"
        to_send = ToSend(key, KIND, body, "supabase", message.wedding_id, Lane.EMERGENCY, lasts)
        outbox.write(db, [to_send])


def broadcast(seconds: float) -> None:
    """Broadcast what is due, for some seconds at most."""
    sending.deliver(KIND, _send, RETRY, seconds=seconds)


def _send(entry: Entry) -> Result:
    adapters.post(adapters.policy(), [entry.body])
    return Result(Outcome.SENT)
