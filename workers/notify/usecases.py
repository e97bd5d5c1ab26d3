"""Telling somebody by all the channels they have."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from workers.foundation import clock, database
from workers.foundation.errors import ExpectedError
from workers.foundation.event_log import Happening
from workers.foundation.moments import Moment
from workers.notify import adapters, formats, store
from workers.notify.rules import CONTACTS, OPERATIONS, Notification, Target
from workers.outbox import store as outbox
from workers.outbox import usecases as sending
from workers.outbox.rules import Entry, Outcome, Result


class AddressMissing(ExpectedError):
    """{recipient!r} has no address; `wedops contacts add {recipient} CHANNEL` gives one"""


def targets(db: Connection, recipient: str, wedding_id: str = "") -> list[Target]:
    """Return where somebody is reached; where operations are for whom nobody knows an address."""
    return targets_of(db, [(recipient, wedding_id)])[recipient, wedding_id]


def targets_of(db: Connection, people: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[Target]]:
    """Return the same for many, as (recipient, wedding or empty), by one statement."""
    known = store.channels_of(
        db, {OPERATIONS, *(one[0] for one in people)}, {"", *(one[1] for one in people)}
    )
    default = [Target(OPERATIONS, "", channel) for channel in adapters.targets()]
    found = {}
    for recipient, wedding_id in people:
        reached = ((recipient, wedding_id), (recipient, ""), (OPERATIONS, ""))
        own = next((one for one in reached if one in known), None)
        found[recipient, wedding_id] = [Target(*own, channel) for channel in known[own]] if own else default
    return found


def addressed(db: Connection, people: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which of some people, as (recipient, wedding), have an address of their own."""
    found = targets_of(db, people)
    return {one for one in people if any(to.recipient == one[0] for to in found[one])}


def verified(db: Connection, people: Collection[tuple[str, str]]) -> dict[tuple[str, str], Moment | None]:
    """Return of those with an address of their own, as (recipient, wedding), when a message arrived last."""
    known = store.verified(db, {one[0] for one in people}, {"", *(one[1] for one in people)})
    found = {one: known.get(one, known.get((one[0], ""))) for one in addressed(db, people)}
    return {one: clock.of_the_world(at) if at else None for one, at in found.items()}


def reached(db: Connection, groups: Sequence[tuple[str, Sequence[str]]]) -> list[list[str]]:
    """Return whom to notify of each group of people of a wedding: those with an address, else its contacts.

    Operations are always reached.
    """
    known = addressed(db, {(who, wedding_id) for wedding_id, people in groups for who in people})
    return [
        [who for who in people if who == OPERATIONS or (who, wedding_id) in known] or [CONTACTS]
        for wedding_id, people in groups
    ]


def publish(
    db: Connection, message: Notification, *, recipient: str = OPERATIONS, wedding_id: str = ""
) -> int:
    """Write a notification for each channel of somebody; return how many are new."""
    return publish_all(db, [(message, recipient, wedding_id)])


def publish_all(db: Connection, messages: Collection[tuple[Notification, str, str]]) -> int:
    """Do the same for many, as (notification, recipient, wedding or empty), by two statements."""
    reached = targets_of(db, {(recipient, wedding_id) for _, recipient, wedding_id in messages})
    own = [
        (replace(message, key=_key(message.key, to)), to)
        for message, recipient, wedding_id in messages
        for to in reached[recipient, wedding_id]
    ]
    return outbox.write(db, [formats.message(*one) for one in own])


def _key(key: str, to: Target) -> str:
    return f"{key}/{to.recipient}/{to.channel}"


def send(entry: Entry) -> Result:
    """Send one; it fails also when its address is gone or wrong."""
    if store.was_accepted(entry.key):
        return Result(Outcome.SENT)
    notification, to = formats.read(entry.key, entry.body)
    with database.transaction() as db:
        url = store.address(db, to)
    if not (url := url or adapters.targets().get(to.channel)):
        return Result(Outcome.FAILED, "its address is gone; `wedops contacts add` gives one")
    if not adapters.send(url, notification.title, notification.body, notification.severity, key=entry.key):
        return Result(Outcome.FAILED, "the target did not take it")
    store.note_accepted(entry.key)
    with database.transaction() as db:
        store.note_verified(db, to)
    return Result(Outcome.SENT)


def deliver(seconds: float, *, emergency: bool = False) -> None:
    """Send what is due for some seconds at most; a channel that fails is left for the next time.

    With `emergency` only what is critical.
    """
    sending.deliver(formats.KIND, send, adapters.policy().retry, seconds=seconds, emergency=emergency)


def send_test(recipient: str, wedding_id: str, *, key: str) -> dict[Target, bool]:
    """Send somebody a test by each of their channels, once; return by target whether it arrived.

    Raises AddressMissing.
    """
    test = Notification(key, "a test from wedops", "Nothing is wrong.", "info")
    with database.transaction() as db:
        if recipient != OPERATIONS and not store.channels(db, recipient, wedding_id):
            raise AddressMissing(recipient=recipient)
        to = {_key(key, one): one for one in targets(db, recipient, wedding_id)}
    messages = [formats.message(replace(test, key=key), one) for key, one in to.items()]
    results = sending.send_now(messages, send, adapters.policy().retry)
    with database.transaction() as db:
        outbox.withdraw(db, to)
    return {to[key]: result.outcome is Outcome.SENT for key, result in results.items()}


def registered() -> list[Target]:
    """Return the targets that have an address, and those of NOTIFY_TARGETS; never the addresses."""
    with database.transaction() as db:
        return store.registered(db) + [Target(OPERATIONS, "", name) for name in adapters.targets()]


def register(to: Target, url: str) -> None:
    """Remember where somebody is reached by a channel, instead of what was known. Raises AddressInvalid."""
    adapters.check(url)
    with database.transaction() as db:
        store.register(db, to, url)


def unregister(to: Target) -> bool:
    """Forget an address, and send nothing more to it; False when there was none."""
    with database.transaction() as db:
        outbox.withdraw_for(db, formats.KIND, str(to))
        return store.unregister(db, to)


def make_contacts(db: Connection, wedding_id: str, recipients: Sequence[str]) -> None:
    """Have people reached as a wedding's contacts, by all channels that they have. Raises AddressMissing."""
    for recipient in recipients:
        of = next((id for id in (wedding_id, "") if store.channels(db, recipient, id)), None)
        if of is None:
            raise AddressMissing(recipient=recipient)
        for channel in store.channels(db, recipient, of):
            url = store.address(db, Target(recipient, of, channel))
            if url and recipient != CONTACTS:
                store.register(db, Target(CONTACTS, wedding_id, f"{recipient}-{channel}"), url)


def require_address(db: Connection, recipient: str) -> None:
    """Raise AddressMissing for somebody whom nothing reaches; operations have NOTIFY_TARGETS."""
    if recipient != OPERATIONS and not store.channels(db, recipient):
        raise AddressMissing(recipient=recipient)


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return the messages that arrived from a moment of the world's on.

    They are sent by the machine's clock.
    """
    found = [
        Happening(
            clock.of_the_world(at),
            f"notified {body['recipient']} by {body['channel']}: {body['title']}",
            wedding_id=body.get("about", body["wedding_id"]),
        )
        for at, body in outbox.latest_sent(db, formats.KIND, limit=limit)
    ]
    return [one for one in found if one.at >= since]
