"""The other channels of those who have not got a message: who is notified, and of what no more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import blake2b

from sqlalchemy import Connection

from workers.delivery.formats import Message
from workers.delivery.rules import State, Status, Step, recipient
from workers.delivery.store import recipients
from workers.delivery.store.recipients import Reached, Waiting
from workers.foundation.moments import Moment
from workers.notify import formats as notifications
from workers.notify import usecases as notify
from workers.notify.rules import CONTACTS, OPERATIONS, Notification, Target
from workers.outbox import store as outbox
from workers.outbox.rules import Message as Entry
from workers.weddings.rules.calendar import planners
from workers.weddings.store import weddings


@dataclass(frozen=True)
class Lacking:
    """Who has not got a message, or not acknowledged it, when a step about them is due."""

    message: Message
    step: Step
    recipients: Sequence[str]


def key(identifier: str, who: str, channel: str) -> str:
    """Return the key of the notification that somebody gets of a message by a channel."""
    return f"urgent/{identifier}/{who}/{channel}"


def notify_recipients(db: Connection, waiting: Sequence[Waiting], *, now: Moment) -> None:
    """Have recipients get their messages by each of their other channels, if they have any."""
    reached = notify.targets_of(db, {_person(one) for one in waiting if _person(one)[0]})
    own = {one: tos for one in waiting if (tos := _own(reached.get(_person(one), ()), one))}
    outbox.write(db, [_to_them(one.message, one.recipient, to, now) for one in own for to in own[one]])
    recipients.contacted(db, {one: [to.channel for to in tos] for one, tos in own.items()})


def _person(one: Waiting) -> tuple[str, str]:
    return recipient(one.recipient).contact, one.message.wedding_id


def _own(reached: Iterable[Target], one: Waiting) -> list[Target]:
    """Return what is theirs: who has no address would be reached in the place of others."""
    return [to for to in reached if to.recipient == _person(one)[0]]


def _to_them(message: Message, who: str, to: Target, now: Moment) -> Entry:
    title, own = f"{_label(message)}{message.body['headline']}", key(message.identifier, who, to.channel)
    notification = Notification(own, title, _body(message), "critical", message.wedding_id)
    return replace(notifications.message(notification, to), lasts=_lasts(message, now))


def _body(message: Message) -> str:
    """Return what is said beside the headline: who reads it may work at two weddings on one day."""
    said, at = message.body, (message.body["moment_at"] or "").replace("T", " ")[:16]
    moment = f"{said['moment']}: {at}" if said["moment"] else ""
    return "\n".join(
        filter(None, (said["body"], moment, f"wedding {message.wedding_id}, from {message.sender}"))
    )


def _label(message: Message) -> str:
    """Return what stands before the headline: nobody may take an exercise for the real thing."""
    return "EXERCISE: " if message.status == Status.EXERCISE else ""


def _lasts(message: Message, now: Moment) -> timedelta:
    return max(timedelta(seconds=1), message.expires_at - now)


def notify_others(db: Connection, lacking: Sequence[Lacking], *, now: Moment) -> None:
    """Give the names of those who have not got messages to the planners, later to operations.

    In the place of a planner without an address are the wedding's contacts.
    """
    ids = {one.message.wedding_id for one in lacking}
    leads = {one.id: planners(one) for one in weddings.by_id(db, ids)}
    people = {(who, id) for id, own in leads.items() for who in (*own, CONTACTS, OPERATIONS)}
    reached = notify.targets_of(db, people)
    others = [(one, to) for one in lacking for to in _others(one, leads, reached)]
    outbox.write(db, [_names(one, to, now) for one, to in others])


def _others(
    one: Lacking, leads: Mapping[str, Sequence[str]], reached: Mapping[tuple[str, str], list[Target]]
) -> list[Target]:
    wedding_id = one.message.wedding_id
    if one.step is Step.NAMES:
        for who in (*leads.get(wedding_id, ()), CONTACTS):
            if own := [to for to in reached.get((who, wedding_id), ()) if to.recipient == who]:
                return own
    return reached.get((OPERATIONS, wedding_id), [])


def _names(one: Lacking, to: Target, now: Moment) -> Entry:
    message, who = one.message, ", ".join(one.recipients)
    title = f"{_label(message)}a message of {message.wedding_id} has not reached {len(one.recipients)}"
    body = (
        f"not got, or not acknowledged, by {who}: {message.body['headline']!r}. "
        f"Who has it: wedops messages show {message.identifier}"
    )
    # Those of one moment are one notification: what it is called depends on who they are.
    names = blake2b(who.encode(), digest_size=8).hexdigest()
    own = f"urgent/{message.identifier}/{one.step}/{names}/{to.recipient}/{to.channel}"
    notification = Notification(own, title, body, "critical", message.wedding_id)
    return replace(notifications.message(notification, to), lasts=_lasts(message, now))


def withdraw(db: Connection, reached: Iterable[Reached]) -> None:
    """Have those who acknowledged a message hear no more of it by other channels."""
    done = [one for one in reached if one.state == State.ACKNOWLEDGED and one.contacts]
    if done:
        keys = [key(one.identifier, one.recipient, channel) for one in done for channel in one.contacts]
        outbox.withdraw(db, keys)
