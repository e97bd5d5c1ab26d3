"""Sending an urgent message: who must get it is settled and written before anything leaves."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Any

from sqlalchemy import Connection

from workers.commands.rules import contract
from workers.commands.usecases.commands import MessageRefused
from workers.connections.store import upkeep
from workers.delivery import formats, telemetry
from workers.delivery.formats import Message, MessageSent, SendMessage
from workers.delivery.rules import (
    MsgType,
    Policy,
    Recipient,
    Status,
    pace,
    recipients,
    strangers,
)
from workers.delivery.store import lane
from workers.delivery.store import messages as store
from workers.delivery.usecases import broadcasting, closing
from workers.foundation import database, logs, redis, settings
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.moments import MachineMoment, Moment
from workers.journal import store as journal
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings

log = logs.get("delivery")

#: So long after a wedding a message may still hold.
LONGEST = timedelta(days=30)


class AudienceUnknown(ExpectedError):
    """audience: {wedding_id} has no supplier {unknown}; name those that it has (`wedops weddings show
    {wedding_id}`)"""

    http_status = 422


class AudienceEmpty(ExpectedError):
    """audience: nobody of it is on duty at {wedding_id}; name somebody who is"""

    http_status = 422


class MessageExpired(ExpectedError):
    """expires: {at} has passed; give a moment to come, or none for the end of the wedding"""

    http_status = 422


class MessageTooLong(ExpectedError):
    """expires: nobody needs it so long; give a moment at most {days} days after the wedding"""

    http_status = 422


class MomentInvalid(ExpectedError):
    """moment_at: {problem}"""

    http_status = 422


class ReferencesInvalid(ExpectedError):
    """references: {problem}"""

    http_status = 422


class IdentifierReused(ExpectedError):
    """request_key {key!r} was used for another message; use a new key for a new message"""

    http_status = 409


class TooManyMessages(ExpectedError):
    """{sender} sends more than {limit} messages a second; send this one again a second later"""

    http_status = 429


def send(fields: dict[str, Any], *, sender: str, now: Moment, machine: MachineMoment) -> Message:
    """Send an urgent message, past all queues: when this returns, it is written for each recipient.

    Under the same `request_key` it is sent once. Raises MessageRefused, TooManyMessages, WeddingUnknown, and
    what `write` raises: nothing is sent then.
    """
    if problems := contract.problems(SendMessage, fields):
        telemetry.refused.labels("invalid").inc()
        raise MessageRefused(task=SendMessage.task, problems="; ".join(problems))
    asked = SendMessage.model_validate(fields)
    key = asked.request_key or f"message/{asked.wedding_id}/{machine.timestamp():.6f}"
    sender = storable(sender)
    count(sender, machine=machine)
    with database.transaction() as db:
        return write(db, asked, key, sender=sender, now=now)


def count(sender: str, *, machine: MachineMoment) -> None:
    """Count a message of a caller. Raises TooManyMessages for one that floods."""
    policy = settings.read(Policy)
    if lane.sent_this_second(sender, int(machine.timestamp())) > policy.a_second:
        telemetry.refused.labels("too_many").inc()
        raise TooManyMessages(sender=sender, limit=policy.a_second)


def write(db: Connection, asked: SendMessage, key: str, *, sender: str, now: Moment) -> Message:
    """Write a message with a row for each recipient; it leaves once the transaction commits.

    Raises WeddingUnknown, AudienceUnknown, AudienceEmpty, MessageExpired, MomentInvalid, ReferencesInvalid,
    IdentifierReused.
    """
    try:
        return _write(db, asked, key, sender=sender, now=now)
    except ExpectedError as error:
        telemetry.refused.labels(error.reason).inc()
        raise


def _write(db: Connection, asked: SendMessage, key: str, *, sender: str, now: Moment) -> Message:
    wedding, identifier = weddings.require(db, asked.wedding_id), formats.identifier(key)
    if known := store.find(db, identifier):
        return _same(known, asked, key)
    to = _recipients(wedding, asked, now)
    row = _row(db, asked, wedding, identifier, now) | {"sender": sender}
    first = 0.0 if asked.status is Status.EXERCISE else row["pace"] * _contacts_after()
    id = store.write(db, row, [str(one) for one in to], first_wait=first)
    if id is None:
        # Somebody else wrote it under the same key at this very moment.
        return _same(store.find(db, identifier), asked, key)
    if row["revision"]:
        closing.supersede(db, row["thread"], row["revision"])
    facts = (identifier, wedding.id, str(asked.status), str(asked.msg_type), sender, len(to))
    journal.append(db, [MessageSent(*facts)], at=now)
    telemetry.sent.labels(asked.status).inc()
    message = Message(id=id, **row)
    broadcasting.write(db, message, wedding, to)
    return message


def _row(
    db: Connection, asked: SendMessage, wedding: Wedding, identifier: str, now: Moment
) -> dict[str, Any]:
    thread, revision = _place(db, asked, identifier)
    return {
        "identifier": identifier,
        "wedding_id": wedding.id,
        "thread": thread,
        "revision": revision,
        "status": str(asked.status),
        "msg_type": str(asked.msg_type),
        "body": formats.body(asked),
        "pace": pace(_moment(asked, wedding, now), settings.read(Policy), now=now),
        "sent_at": now,
        "expires_at": _expires(asked, wedding, now),
    }


def _contacts_after() -> float:
    return settings.read(Policy).contacts_after.total_seconds()


def _same(known: Message | None, asked: SendMessage, key: str) -> Message:
    """Return the message that is known under a key; raises IdentifierReused for another one."""
    own = (asked.wedding_id, asked.status, asked.msg_type, formats.body(asked))
    if known is None or (known.wedding_id, known.status, known.msg_type, known.body) != own:
        raise IdentifierReused(key=key)
    return known


def _expires(asked: SendMessage, wedding: Wedding, now: Moment) -> Moment:
    over = wedding.ends_at + settings.read(calendar.Policy).wind_down_lasts
    expires = Moment(asked.expires) if asked.expires else Moment(over)
    if expires <= now:
        raise MessageExpired(at=f"{expires:%Y-%m-%d %H:%M:%S}Z")
    if expires > over + LONGEST:
        raise MessageTooLong(days=LONGEST.days)
    return Moment(expires.astimezone(UTC))


def _recipients(wedding: Wedding, asked: SendMessage, now: Moment) -> list[Recipient]:
    audience = asked.audience
    if unknown := strangers(wedding, audience):
        raise AudienceUnknown(wedding_id=wedding.id, unknown=", ".join(unknown))
    on_duty = calendar.on_duty(wedding, settings.read(calendar.Policy), now=now)
    guests = _guests(wedding.id) if audience.guests else []
    found = recipients(wedding, audience, on_duty, guests)
    if not found:
        raise AudienceEmpty(wedding_id=wedding.id)
    return found


def _guests(wedding_id: str) -> list[str]:
    """Return the guests who are online; none while nobody can say: all others get it."""
    try:
        return upkeep.guests(wedding_id)
    except redis.UNREACHABLE as error:
        log.warning("guests not known", wedding_id=wedding_id, reason="redis", detail=str(error))
        return []


def _place(db: Connection, asked: SendMessage, identifier: str) -> tuple[str, int]:
    """Return the thread of a message, and its number in it: it comes after all that it references."""
    if asked.msg_type is MsgType.ALERT:
        if asked.references:
            raise ReferencesInvalid(problem="an Alert references nothing; use msg_type Update or Cancel")
        return identifier, 0
    if not asked.references:
        raise ReferencesInvalid(problem="name the message that it is about")
    found = [one for one in store.referenced(db, asked.references) if one.wedding_id == asked.wedding_id]
    if strange := sorted({*asked.references} - {one.identifier for one in found}):
        known = f"`wedops messages list {asked.wedding_id}` shows those of it"
        raise ReferencesInvalid(problem=f"{', '.join(strange)} is no message of {asked.wedding_id}; {known}")
    if other := sorted({one.status for one in found} - {asked.status}):
        problem = f"one of status {asked.status} takes the place of none of status {', '.join(other)}"
        raise ReferencesInvalid(problem=problem)
    threads = {one.thread for one in found}
    if len(threads) > 1:
        raise ReferencesInvalid(problem="they supersede different ones; send a message for each")
    thread = threads.pop()
    return thread, store.last_revision(db, thread) + 1


def _moment(asked: SendMessage, wedding: Wedding, now: Moment) -> Moment:
    """Return by when it must have arrived: the moment that changes or the next phase, what is sooner."""
    ends = calendar.phase_ends(wedding.starts_at, wedding.ends_at, settings.read(calendar.Policy), now=now)
    coming = [Moment(ends)] if ends else []
    if bool(asked.moment) != bool(asked.moment_at):
        raise MomentInvalid(problem="say both, the moment that changes and when it is now")
    if asked.moment_at:
        if asked.moment_at.tzinfo:
            raise MomentInvalid(problem="write local wall time as 2026-10-10T16:00, without an offset")
        found = calendar.instant(asked.moment_at, wedding.zone)
        if found.at is None:
            raise MomentInvalid(problem=found.problem)
        if found.at <= now:
            raise MomentInvalid(problem=f"{asked.moment_at:%Y-%m-%d %H:%M} has passed there")
        coming.append(found.at)
    return min(coming, default=now)


def send_all(db: Connection, asked: Sequence[tuple[SendMessage, str]], *, sender: str, now: Moment) -> int:
    """Write many messages, each under its key, but those that can reach nobody; return how many."""
    sent = 0
    for one, key in asked:
        if store.find(db, formats.identifier(key)):
            continue
        try:
            with db.begin_nested():
                write(db, one, key, sender=sender, now=now)
            sent += 1
        except ExpectedError as error:
            # One that cannot be reached keeps no other from being.
            log.warning("not sent", wedding_id=one.wedding_id, reason=error.reason, detail=str(error))
    return sent
