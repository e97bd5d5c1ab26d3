"""Urgent messages by the broadcasts of a stock Supabase deployment, beside our own gateways.

Best effort: receipts say who has them.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from workers.connections.rules import channels
from workers.delivery import adapters
from workers.delivery.formats import EVENT, Message, cap
from workers.delivery.rules import Kind, Recipient, Status
from workers.outbox import store as outbox
from workers.outbox import usecases as sending
from workers.outbox.rules import Entry, Lane, Outcome, Result, Retry
from workers.outbox.rules import Message as ToSend
from workers.weddings.rules.calendar import Wedding, supplier_type

#: What the outbox calls them.
KIND = "urgent_broadcast"
#: The channel of suppliers whose type the calendar does not say.
UNKNOWN = "supplier"
RETRY = Retry(timedelta(seconds=1), lease=timedelta(seconds=10))


def key(identifier: str) -> str:
    """Return the key of a message's broadcast."""
    return f"{KIND}/{identifier}"


def write(db: Connection, message: Message, wedding: Wedding, to: Sequence[Recipient]) -> None:
    """Have a message be broadcast once the transaction commits, where a deployment is named.

    On the channels of those it is for: on the wedding's own only when guests are among them.
    """
    if adapters.policy().address and message.status != Status.TEST:
        topics = sorted({_topic(wedding, one) for one in to})
        lasts = message.expires_at - message.sent_at
        body = {"topics": topics, "payload": cap(message)}
        own = key(message.identifier)
        outbox.write(db, [ToSend(own, KIND, body, "supabase", wedding.id, Lane.EMERGENCY, lasts)])


def _topic(wedding: Wedding, one: Recipient) -> str:
    if one.kind is Kind.GUEST:
        return channels.wedding(wedding.id)
    if one.kind is Kind.SUPPLIER:
        return channels.of_type(wedding.id, supplier_type(wedding, one.id) or UNKNOWN)
    return channels.of_type(wedding.id, one.kind)


def broadcast(seconds: float) -> None:
    """Broadcast what is due, for some seconds at most."""
    sending.deliver(KIND, _send, RETRY, seconds=seconds)


def _send(entry: Entry) -> Result:
    payload = {"event": EVENT, "payload": entry.body["payload"], "private": True}
    adapters.post(adapters.policy(), [{"topic": topic, **payload} for topic in entry.body["topics"]])
    return Result(Outcome.SENT)
