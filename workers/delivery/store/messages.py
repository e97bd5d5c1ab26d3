"""Messages as rows, and a row for each recipient, which is there before anything is sent."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Select,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from workers.delivery.formats import Message, wire
from workers.delivery.rules import ON_ITS_WAY, State, Status
from workers.foundation import wakeups
from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment

#: `LISTEN` here to be woken when a message was written: it says what gateways get, or nothing when that is
#: too long.
CHANNEL = "wedops_urgent"
messages = Table(
    "messages",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("identifier", Text, nullable=False, unique=True),
    Column("wedding_id", Text, nullable=False),
    #: The identifier of the first one of those that supersede each other, and the number among them.
    Column("thread", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("sender", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("msg_type", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    #: How many times longer than near its moment everything may take.
    Column("pace", Float, nullable=False),
    #: By the world's clock, which weddings go by.
    Column("sent_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    #: By PostgreSQL's, as all that follows.
    Column("committed_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("published_at", DateTime(timezone=True)),
    Column("closed_at", DateTime(timezone=True)),
    UniqueConstraint("thread", "revision"),
    info=expires("closed_at"),
)
_OPEN = messages.c.closed_at.is_(None)
Index("messages_to_publish", messages.c.id, postgresql_where=messages.c.published_at.is_(None) & _OPEN)
Index("messages_of_wedding", messages.c.wedding_id, messages.c.id)
Index("messages_open", messages.c.expires_at, postgresql_where=_OPEN)

recipients = Table(
    "message_recipients",
    metadata,
    Column("message_id", BigInteger, ForeignKey(messages.c.id, ondelete="CASCADE"), primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default="pending"),
    *(
        Column(f"{name}_at", DateTime(timezone=True))
        for name in ("sent", "delivered", "displayed", "acknowledged")
    ),
    Column("settled_at", DateTime(timezone=True)),
    #: By which channel it got as far as it did.
    Column("channel", Text, nullable=False, server_default=""),
    #: The other channels by which they were notified.
    Column("contacts", ARRAY(Text), nullable=False, server_default="{}"),
    Column("steps", SmallInteger, nullable=False, server_default="0"),
    Column("due_at", DateTime(timezone=True)),
)
Index("recipients_due", recipients.c.due_at, postgresql_where=recipients.c.due_at.is_not(None))
#: A message's fields, in its order.
FACTS = [messages.c[name] for name in Message.__dataclass_fields__]


def find(db: Connection, identifier: str) -> Message | None:
    """Return a message."""
    row = db.execute(select(*FACTS).where(messages.c.identifier == identifier)).one_or_none()
    return Message(*row) if row else None


def referenced(db: Connection, identifiers: Sequence[str]) -> list[Message]:
    """Return the messages with these identifiers, and hold their threads until the transaction ends."""
    found = [
        Message(*row)
        for row in db.execute(select(*FACTS).where(messages.c.identifier.in_(list(identifiers))))
    ]
    for thread in sorted({one.thread for one in found}):
        db.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"thread {thread}"})
    return found


def last_revision(db: Connection, thread: str) -> int:
    """Return the highest number in a thread."""
    query = select(func.max(messages.c.revision)).where(messages.c.thread == thread)
    return int(db.execute(query).scalar_one())


def write(db: Connection, row: dict[str, Any], to: Sequence[str], *, first_wait: float) -> int | None:
    """Write a message with a row for each recipient, and hand it to the urgent lane once they are committed.

    `first_wait` is in how many seconds somebody looks after who has not got it. Return its id, or None when
    its identifier is known.
    """
    document = orjson.dumps(row["body"]).decode()
    made = db.execute(_MESSAGE, row | {"body": document}).scalar_one_or_none()
    if made is not None:
        waits = row["status"] != Status.TEST
        facts = {"id": made, "to": list(to), "wait": first_wait if waits else None}
        db.execute(_RECIPIENTS, facts)
        # All of it, where it is not too long: the lane need not ask for it.
        payload = wire(Message(id=made, **row), list(to)).decode()
        short = len(payload.encode()) <= wakeups.LONGEST
        db.execute(select(func.pg_notify(CHANNEL, payload if short else "")))
    return made


_MESSAGE = text(
    """
    INSERT INTO messages (identifier, wedding_id, thread, revision, sender, status, msg_type, body, pace,
        sent_at, expires_at)
    VALUES (:identifier, :wedding_id, :thread, :revision, :sender, :status, :msg_type, cast(:body AS jsonb),
        :pace, :sent_at, :expires_at)
    ON CONFLICT DO NOTHING RETURNING id
    """
)
_RECIPIENTS = text(
    """
    INSERT INTO message_recipients (message_id, recipient, due_at)
    SELECT :id, one, clock_timestamp() + cast(:wait AS double precision) * interval '1 second'
    FROM unnest(cast(:to AS text[])) AS one
    """
)


#: Of a message that was closed, somebody it was for, and by which other channels they were notified of it.
Closed = tuple[str, str, list[str]]


def supersede(db: Connection, thread: str, revision: int) -> list[Closed]:
    """Close what came before in a thread; return with whom."""
    older = (messages.c.thread == thread) & (messages.c.revision < revision)
    return _close(db, _ids(older).with_for_update(), State.SUPERSEDED)


def end(db: Connection, sender: str) -> list[Closed]:
    """Close the messages of a sender; return with whom."""
    return _close(db, _ids(messages.c.sender == sender).with_for_update(), State.EXPIRED)


def expire(db: Connection, *, now: Moment, limit: int) -> list[Closed]:
    """Close what nobody needs any more; return with whom."""
    late = _ids(messages.c.expires_at <= now).limit(limit)
    return _close(db, late.with_for_update(skip_locked=True), State.EXPIRED)


def _ids(which: ColumnElement[bool]) -> Select[tuple[int]]:
    # All who change many take them, and their recipients, in one order: two at once wait for each other.
    return select(messages.c.id).where(which, _OPEN).order_by(messages.c.id)


def _close(db: Connection, held: Select[tuple[int]], state: State) -> list[Closed]:
    """Close messages: with whom they have not arrived they no longer should, and are in this state."""
    ids = list(db.execute(held).scalars())
    if not ids:
        return []
    closing = messages.update().where(messages.c.id.in_(ids)).values(closed_at=func.clock_timestamp())
    db.execute(closing)
    values = {"ids": ids, "way": list(ON_ITS_WAY), "state": state}
    return [(row[0], row[1], row[2]) for row in db.execute(_SETTLE, values)]


_SETTLE = text(
    """
    WITH held AS (
        SELECT r.message_id, r.recipient, m.identifier
        FROM message_recipients r JOIN messages m ON m.id = r.message_id
        WHERE r.message_id = ANY(:ids) ORDER BY r.message_id, r.recipient FOR UPDATE OF r)
    UPDATE message_recipients r SET due_at = NULL, settled_at = coalesce(settled_at, clock_timestamp()),
        state = CASE WHEN state = ANY(:way) THEN :state ELSE state END
    FROM held h WHERE r.message_id = h.message_id AND r.recipient = h.recipient
    RETURNING h.identifier, r.recipient, r.contacts
    """
)


def unpublished(db: Connection, *, limit: int) -> list[tuple[Message, list[str]]]:
    """Return the messages to publish, each with who may not have it, and mark them as published.

    Held until the transaction ends: who fails to publish rolls back, and somebody else does.
    """
    first = (
        select(messages.c.id)
        .where(messages.c.published_at.is_(None), _OPEN)
        .order_by(messages.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    marked = (
        messages.update()
        .where(messages.c.id.in_(first))
        .values(published_at=func.clock_timestamp())
        .returning(*FACTS)
    )
    found = sorted((Message(*row) for row in db.execute(marked)), key=lambda one: one.id)
    to = _waiting(db, [one.id for one in found])
    return [(one, to[one.id]) for one in found]


def mark_published(db: Connection, identifiers: Sequence[str]) -> None:
    """Remember that messages were published."""
    own = messages.c.identifier.in_(list(identifiers)) & messages.c.published_at.is_(None)
    held = select(messages.c.id).where(own).order_by(messages.c.id).with_for_update()
    published = messages.update().where(messages.c.id.in_(held))
    db.execute(published.values(published_at=func.clock_timestamp()))


def _waiting(db: Connection, ids: list[int]) -> dict[int, list[str]]:
    """Return who may not have messages, by the messages' ids."""
    found: dict[int, list[str]] = {id: [] for id in ids}
    wanted = recipients.c.message_id.in_(ids), recipients.c.state.in_([*ON_ITS_WAY, "unreachable"])
    for id, one in db.execute(select(recipients.c.message_id, recipients.c.recipient).where(*wanted)):
        found[id].append(one)
    return found


def publish_again(db: Connection, ids: Sequence[int]) -> None:
    """Have messages be published again to who may not have them, once the transaction commits."""
    if ids:
        db.execute(messages.update().where(messages.c.id.in_(list(ids))).values(published_at=None))
        db.execute(select(func.pg_notify(CHANNEL, "")))


def outstanding(
    db: Connection, joined: Sequence[tuple[str, str]], *, now: Moment
) -> list[tuple[Message, str]]:
    """Return what (wedding, recipient) have not acknowledged and is still valid, the oldest first."""
    weddings, who = [one[0] for one in joined], [one[1] for one in joined]
    rows = db.execute(_OUTSTANDING, {"weddings": weddings, "who": who, "now": now})
    return [(Message(*row[:-1]), row[-1]) for row in rows]


_OUTSTANDING = text(
    f"""
    SELECT {", ".join(f"m.{column.name}" for column in FACTS)}, r.recipient
    FROM unnest(cast(:weddings AS text[]), cast(:who AS text[])) AS joined (wedding_id, recipient)
    JOIN messages m ON m.wedding_id = joined.wedding_id AND m.closed_at IS NULL AND m.expires_at > :now
    JOIN message_recipients r ON r.message_id = m.id AND r.recipient = joined.recipient
        AND r.state <> 'acknowledged'
    ORDER BY m.id
    """  # noqa: S608 - names of columns
)
