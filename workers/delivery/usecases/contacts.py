"""The other channels of those who have not got a message: who is notified, and of what no more."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b

from sqlalchemy import Connection

from workers.delivery.formats import Message
from workers.delivery.rules import Kind, State, Status, recipient
from workers.delivery.store import recipients
from workers.delivery.store.recipients import Reached
from workers.notify import formats as notifications
from workers.notify import usecases as notify
from workers.notify.rules import OPERATIONS, Notification, Target
from workers.outbox import store as outbox
from workers.outbox.rules import Message as Entry

#: Who hears of it in the place of a planner who has no address: the wedding's own contacts.
WEDDING_CONTACTS = "contacts"


def key(identifier: str, who: str, channel: str) -> str:
    """Return the key of the notification that somebody gets of a message by a channel."""
    return f"urgent/{identifier}/{who}/{channel}"


def notify_recipient(db: Connection, message: Message, who: str) -> None:
    """Have somebody get a message by each of their other channels, if they have any."""
    contact = recipient(who).contact
    to = notify.own_targets(db, contact, message.wedding_id) if contact else []
    if to:
        outbox.write(db, [_to_them(message, who, one) for one in to])
        recipients.handed_over(db, message.id, who, [one.channel for one in to])


def _to_them(message: Message, who: str, to: Target) -> Entry:
    title, own = f"{_label(message)}{message.body['headline']}", key(message.identifier, who, to.channel)
    notice = Notification(own, title, message.body["body"], "critical", message.wedding_id)
    return replace(notifications.message(notice, to), lasts=_lasts(message))


def _label(message: Message) -> str:
    """Return what stands before the headline: nobody may take an exercise for the real thing."""
    return {Status.EXERCISE: "EXERCISE: ", Status.TEST: "TEST: "}.get(Status(message.status), "")


def _lasts(message: Message) -> timedelta:
    return max(timedelta(minutes=1), message.expires_at - message.sent_at)


def notify_planner(db: Connection, message: Message, who: Sequence[str], step: str) -> None:
    """Give the planner the names of those who have not got a message; without one, the wedding's contacts."""
    reached = (
        one
        for one in (str(Kind.PLANNER), WEDDING_CONTACTS)
        if notify.own_targets(db, one, message.wedding_id)
    )
    _tell(db, message, who, step, next(reached, OPERATIONS))


def notify_operations(db: Connection, message: Message, who: Sequence[str], step: str) -> None:
    """Give operations the names of those whom nothing reaches."""
    _tell(db, message, who, step, OPERATIONS)


def _tell(db: Connection, message: Message, who: Sequence[str], step: str, recipient: str) -> None:
    title = f"{_label(message)}{len(who)} have not got a message of {message.wedding_id}"
    body = (
        f"{', '.join(who)} have not got, or not acknowledged: {message.body['headline']!r}. "
        f"Who has it: wedops messages show {message.identifier}"
    )
    # Those of one moment are one notification: what it is called depends on who they are.
    names = blake2b(" ".join(who).encode(), digest_size=8).hexdigest()
    notice = Notification(
        f"urgent/{message.identifier}/{step}/{names}", title, body, "critical", message.wedding_id
    )
    notify.publish(db, notice, recipient=recipient, wedding_id=message.wedding_id)


def withdraw(db: Connection, reached: Iterable[Reached]) -> None:
    """Have those who acknowledged a message hear no more of it by other channels."""
    done = [one for one in reached if one.state == State.ACKNOWLEDGED and one.contacts]
    if done:
        keys = [key(one.identifier, one.recipient, channel) for one in done for channel in one.contacts]
        outbox.withdraw(db, keys)
