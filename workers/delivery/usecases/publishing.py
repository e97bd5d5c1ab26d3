"""The urgent lane: what is committed is published at once, and what gateways say is remembered."""

from collections.abc import Sequence

from sqlalchemy import Connection

from workers.delivery import telemetry
from workers.delivery.formats import Message
from workers.delivery.rules import Policy, Receipt, State, merged
from workers.delivery.store import lane, recipients
from workers.delivery.store import messages as store
from workers.delivery.usecases import contacts
from workers.foundation import database, logs, settings
from workers.foundation.moments import Moment

log = logs.get("delivery")

#: Messages of one transaction.
AT_ONCE = 200
#: By which channel a receipt came.
SOCKET, HTTP = "socket", "http"


def forward(payloads: Sequence[str]) -> list[str]:
    """Publish what is committed by what its notification said: at once, before any row is asked for.

    Return the identifiers, to be marked as published before `publish` looks for what is not.
    """
    return [lane.forward(one) for one in payloads if one]


def mark_published(identifiers: Sequence[str]) -> None:
    """Remember that messages were published."""
    if identifiers:
        with database.transaction() as db:
            store.mark_published(db, identifiers)


def publish() -> int:
    """Publish what is committed and not published; return how many messages. Twice may happen, never not."""
    count, total = AT_ONCE, 0
    while count == AT_ONCE:
        with database.transaction() as db:
            found = store.unpublished(db, limit=AT_ONCE)
            lane.publish(found)
        count = len(found)
        total += count
    return total


def hear(reader: str, *, abandoned: bool = True, now: Moment) -> int:
    """Take receipts from gateways, and publish again what those who joined have not got.

    Return how many of both. With `abandoned` also what a reader that died had read.
    """
    heard = lane.hear(reader, abandoned=abandoned)
    if heard.receipts:
        take(heard.receipts, channel=SOCKET)
    if heard.joined:
        _replay(list(dict.fromkeys(heard.joined)), now=now)
    lane.remembered(heard)
    return len(heard.receipts) + len(heard.joined)


def _replay(joined: Sequence[tuple[str, str]], *, now: Moment) -> None:
    with database.transaction() as db:
        found = store.outstanding(db, joined, now=now)
    to: dict[int, tuple[Message, list[str]]] = {}
    for message, who in found:
        to.setdefault(message.id, (message, []))[1].append(who)
    lane.publish(to.values())


def take(receipts: Sequence[Receipt], *, channel: str) -> list[recipients.Reached]:
    """Remember receipts, in whatever order and however often they come; return those that are somebody's.

    Those of a message that is not known, or was not sent to who says it, are counted.
    """
    reached = merged(receipts)
    to_read = settings.read(Policy).to_read * settings.read(Policy).contacts_after.total_seconds()
    with database.transaction() as db:
        found = recipients.receive(db, reached, channel=channel, to_read=to_read)
        contacts.withdraw(db, found)
        strange = reached.keys() - {(one.wedding_id, one.identifier, one.recipient) for one in found}
        _count_strange(db, strange)
    for one in found:
        telemetry.receipts.labels(one.state).inc()
        if one.seconds is not None and one.state != State.SENT:
            telemetry.seconds.observe(max(0.0, one.seconds))
    return found


def _count_strange(db: Connection, strange: set[tuple[str, str, str]]) -> None:
    if strange:
        known = recipients.known(db, {message for _, message, _ in strange})
        for _, message, who in strange:
            why = "not_theirs" if message in known else "unknown"
            telemetry.receipts.labels(why).inc()
            log.warning("receipt not taken", message=message, recipient=who, reason=why)
