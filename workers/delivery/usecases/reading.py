"""Who has a message and who has not, since when, and how an exercise went."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from workers.delivery.formats import Message
from workers.delivery.store import messages as store
from workers.delivery.store import recipients, summaries
from workers.delivery.store.recipients import Row
from workers.delivery.usecases import contacts
from workers.foundation import database
from workers.foundation.errors import ExpectedError
from workers.foundation.event_log import Happening
from workers.outbox import store as outbox
from workers.outbox.rules import State as Sending
from workers.outbox.rules import Status
from workers.weddings.store import weddings


class MessageUnknown(ExpectedError):
    """no message is called {identifier!r}; `wedops messages list WEDDING` shows those of a wedding"""

    http_status = 404


@dataclass(frozen=True)
class Contact:
    """A channel by which somebody was notified of a message beside their sockets, and what became of it."""

    channel: str
    state: str


@dataclass(frozen=True)
class Shown:
    """A message, what became of it with each recipient, and by which other channels they were notified."""

    message: Message
    recipients: list[Row]
    #: What holds in its place, if it no longer does.
    newest: Message
    contacts: Mapping[str, list[Contact]]


def show(identifier: str) -> Shown:
    """Return what became of a message. Raises MessageUnknown."""
    with database.transaction() as db:
        message = store.find(db, identifier)
        if message is None:
            raise MessageUnknown(identifier=identifier)
        rows = recipients.of(db, message.id)
        newest = summaries.newest(db, message.thread) or message
        return Shown(message, rows, newest, _contacts(db, message, rows))


def _contacts(db: Connection, message: Message, rows: list[Row]) -> dict[str, list[Contact]]:
    found: dict[str, list[Contact]] = {}
    keys = {
        contacts.key(message.identifier, one.recipient, channel): (one.recipient, channel)
        for one in rows
        for channel in one.contacts
    }
    for key, status in outbox.statuses(db, keys).items():
        who, channel = keys[key]
        found.setdefault(who, []).append(Contact(channel, _word(status)))
    return found


def _word(status: Status) -> str:
    if status.state is Sending.SENT:
        return "taken"
    if status.state is Sending.WAITING and not status.attempts:
        return "waits"
    return "failed" if status.state in (Sending.WAITING, Sending.DEAD) else "withdrawn"


def of_wedding(wedding_id: str, *, limit: int = 20) -> list[tuple[Message, dict[str, int]]]:
    """Return the newest messages of a wedding, each with how many recipients are in which state.

    Raises WeddingUnknown.
    """
    with database.transaction() as db:
        weddings.require(db, wedding_id)
        found = summaries.of_wedding(db, wedding_id, limit=limit)
        counts = recipients.counts(db, [one.id for one in found])
    return [(one, counts[one.id]) for one in found]


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return the messages that were sent from a moment on, and who has them by now."""
    found = summaries.since(db, since, limit=limit)
    counts = recipients.counts(db, [one.id for one in found])
    return [
        Happening(one.sent_at, _line(one, counts[one.id]), wedding_id=one.wedding_id, by=one.sender)
        for one in found
    ]


def _line(one: Message, counts: Mapping[str, int]) -> str:
    states = ", ".join(f"{many} {state}" for state, many in counts.items())
    kind = "message" if one.status == "Actual" else str(one.status).lower()
    return f"{kind} {one.identifier} to {one.wedding_id}: {one.body['headline']} ({states})"
