"""What became of messages with each recipient."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Float, cast, func, select, text

from workers.delivery.formats import Message
from workers.delivery.rules import State
from workers.delivery.store.messages import FACTS, messages, recipients
from workers.foundation.moments import MachineMoment


@dataclass(frozen=True)
class Row:
    """What became of a message with a recipient, when, and by which channel.

    `seconds` passed from its commit until it was on a device of theirs.
    """

    recipient: str
    state: str
    sent_at: MachineMoment | None
    delivered_at: MachineMoment | None
    displayed_at: MachineMoment | None
    acknowledged_at: MachineMoment | None
    settled_at: MachineMoment | None
    channel: str
    steps: int
    contacts: list[str]
    seconds: float | None


_SECONDS = cast(func.extract("epoch", recipients.c.delivered_at - messages.c.committed_at), Float)
_ROW = [*(recipients.c[name] for name in Row.__dataclass_fields__ if name != "seconds"), _SECONDS]


def of(db: Connection, message_id: int) -> list[Row]:
    """Return what became of a message with each of its recipients."""
    query = select(*_ROW).join_from(recipients, messages).where(recipients.c.message_id == message_id)
    return [Row(*row) for row in db.execute(query.order_by(recipients.c.recipient))]


@dataclass(frozen=True)
class Reached:
    """That a receipt was taken: how far the message got with a recipient.

    `seconds` passed from its commit until it was delivered; None when that was known before.
    """

    wedding_id: str
    identifier: str
    recipient: str
    state: str
    contacts: list[str]
    seconds: float | None


def receive(
    db: Connection,
    reached: Mapping[tuple[str, str, str], Mapping[State, int]],
    *,
    channel: str,
    to_read: float,
) -> list[Reached]:
    """Take receipts by (wedding, message's identifier, recipient): when each state was reached, in ms.

    Return those that there is a row for. `to_read` is in how many seconds, near
    the moment, somebody looks after who has it and has not acknowledged it.
    """
    if not reached:
        return []
    rows = sorted(reached.items())
    columns: dict[str, list[Any]] = {
        **{name: [key[at] for key, _ in rows] for at, name in enumerate(("weddings", "messages", "who"))},
        **{str(state): [found.get(state) for _, found in rows] for state in _MOMENTS},
    }
    facts = {"channel": channel, "wait": to_read}
    return [Reached(*row) for row in db.execute(_RECEIVE, columns | facts)]


_MOMENTS = (State.SENT, State.DELIVERED, State.DISPLAYED, State.ACKNOWLEDGED)
# A message that is closed keeps its state, and its receipts' moments. LEAST takes the one that is there.
_RECEIVE = text(
    """
    WITH came AS (
        SELECT wedding_id, identifier, recipient,
            to_timestamp(s / 1000.0) AS sent, to_timestamp(d / 1000.0) AS delivered,
            to_timestamp(p / 1000.0) AS displayed, to_timestamp(a / 1000.0) AS acknowledged
        FROM unnest(cast(:weddings AS text[]), cast(:messages AS text[]), cast(:who AS text[]),
            cast(:sent AS bigint[]), cast(:delivered AS bigint[]), cast(:displayed AS bigint[]),
            cast(:acknowledged AS bigint[]))
            AS c (wedding_id, identifier, recipient, s, d, p, a)),
    held AS (
        SELECT r.message_id, r.recipient, r.delivered_at AS had, m.identifier, m.wedding_id,
            m.committed_at, m.pace, m.status, c.sent, c.delivered, c.displayed, c.acknowledged
        FROM came c JOIN messages m ON m.identifier = c.identifier
            AND m.wedding_id = c.wedding_id
        JOIN message_recipients r ON r.message_id = m.id AND r.recipient = c.recipient
        ORDER BY r.message_id, r.recipient FOR UPDATE OF r)
    UPDATE message_recipients r SET
        sent_at = least(r.sent_at, h.sent), delivered_at = least(r.delivered_at, h.delivered),
        displayed_at = least(r.displayed_at, h.displayed),
        acknowledged_at = least(r.acknowledged_at, h.acknowledged),
        state = CASE WHEN r.state IN ('superseded', 'expired') THEN r.state
            WHEN r.acknowledged_at IS NOT NULL OR h.acknowledged IS NOT NULL THEN 'acknowledged'
            WHEN r.displayed_at IS NOT NULL OR h.displayed IS NOT NULL THEN 'displayed'
            WHEN r.delivered_at IS NOT NULL OR h.delivered IS NOT NULL THEN 'delivered'
            WHEN r.state = 'unreachable' THEN r.state ELSE 'sent' END,
        channel = CASE WHEN r.delivered_at IS NULL THEN :channel ELSE r.channel END,
        settled_at = CASE WHEN h.acknowledged IS NOT NULL
            THEN coalesce(r.settled_at, clock_timestamp()) ELSE r.settled_at END,
        steps = CASE WHEN r.delivered_at IS NULL AND h.delivered IS NOT NULL THEN 0 ELSE r.steps END,
        due_at = CASE WHEN h.acknowledged IS NOT NULL OR r.acknowledged_at IS NOT NULL THEN NULL
            WHEN r.delivered_at IS NULL AND h.delivered IS NOT NULL AND h.status <> 'Test'
                AND r.state NOT IN ('superseded', 'expired')
                THEN clock_timestamp() + h.pace * cast(:wait AS double precision) * interval '1 second'
            ELSE r.due_at END
    FROM held h WHERE r.message_id = h.message_id AND r.recipient = h.recipient
    RETURNING h.wedding_id, h.identifier, r.recipient, r.state, r.contacts, CASE WHEN h.had IS NULL
        THEN extract(epoch FROM r.delivered_at - h.committed_at)::float END
    """
)


def known(db: Connection, identifiers: Collection[str]) -> set[str]:
    """Return those of some identifiers that messages have."""
    query = text("SELECT identifier FROM messages WHERE identifier = ANY(:identifiers)")
    return set(db.execute(query, {"identifiers": list(identifiers)}).scalars())


@dataclass(frozen=True, eq=False)
class Waiting:
    """A recipient about whom a step is due: what they have not got or not acknowledged, since when."""

    message: Message
    recipient: str
    state: str
    steps: int
    since: MachineMoment
    #: By PostgreSQL's clock, as all of these.
    now: MachineMoment


def due(db: Connection, *, limit: int) -> list[Waiting]:
    """Return about whom a step is due, held until the transaction ends."""
    facts = ", ".join(f"m.{column.name}" for column in FACTS)
    query = text(
        f"""
        SELECT {facts}, r.recipient, r.state, r.steps, coalesce(r.delivered_at, m.committed_at),
            clock_timestamp()
        FROM message_recipients r JOIN messages m ON m.id = r.message_id
        WHERE r.due_at <= clock_timestamp() AND m.closed_at IS NULL
        ORDER BY r.due_at LIMIT :limit FOR UPDATE OF m, r SKIP LOCKED
        """  # noqa: S608 - names of columns
    )
    size = len(FACTS)
    return [Waiting(Message(*row[:size]), *row[size:]) for row in db.execute(query, {"limit": limit})]


@dataclass(frozen=True)
class Taken:
    """How many steps were taken about somebody, and when the next is due (None: never)."""

    message_id: int
    recipient: str
    steps: int
    due_at: MachineMoment | None
    unreachable: bool


def took_steps(db: Connection, taken: Sequence[Taken]) -> None:
    """Remember the steps that were taken."""
    columns = {name: [getattr(one, name) for one in taken] for name in Taken.__dataclass_fields__}
    if taken:
        db.execute(_TOOK, columns)


_TOOK = text(
    """
    UPDATE message_recipients r SET steps = t.steps, due_at = t.due_at,
        state = CASE WHEN t.unreachable THEN 'unreachable' ELSE r.state END,
        settled_at = CASE WHEN t.unreachable THEN clock_timestamp() ELSE r.settled_at END
    FROM unnest(cast(:message_id AS bigint[]), cast(:recipient AS text[]), cast(:steps AS int[]),
        cast(:due_at AS timestamptz[]), cast(:unreachable AS boolean[]))
        AS t (message_id, recipient, steps, due_at, unreachable)
    WHERE r.message_id = t.message_id AND r.recipient = t.recipient
    """
)


def contacted(db: Connection, channels: Mapping[Waiting, Sequence[str]]) -> None:
    """Remember by which other channels people are notified of messages."""
    rows = [
        (one.message.id, one.recipient, orjson.dumps(list(own)).decode(), own[0])
        for one, own in channels.items()
    ]
    if rows:
        names = ("ids", "who", "channels", "first")
        db.execute(_CONTACTED, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


_CONTACTED = text(
    """
    UPDATE message_recipients r SET
        contacts = ARRAY(SELECT jsonb_array_elements_text(cast(h.channels AS jsonb))),
        state = CASE WHEN r.state = 'pending' THEN 'sent' ELSE r.state END,
        sent_at = coalesce(r.sent_at, clock_timestamp()),
        channel = CASE WHEN r.state = 'pending' THEN h.first ELSE r.channel END
    FROM unnest(cast(:ids AS bigint[]), cast(:who AS text[]), cast(:channels AS text[]),
        cast(:first AS text[])) AS h (id, recipient, channels, first)
    WHERE r.message_id = h.id AND r.recipient = h.recipient
    """
)


def counts(db: Connection, message_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return how many recipients of messages are in which state."""
    found: dict[int, dict[str, int]] = {id: {} for id in message_ids}
    query = text(
        "SELECT message_id, state, count(*) FROM message_recipients WHERE message_id = ANY(:ids) "
        "GROUP BY message_id, state ORDER BY message_id, state"
    )
    for id, state, many in db.execute(query, {"ids": list(message_ids)}):
        found[id][state] = many
    return found
