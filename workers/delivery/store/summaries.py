"""What is asked about messages: those of a wedding, those that hold, what is behind."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, Float, Text, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from workers.delivery.formats import Message
from workers.delivery.rules import Status
from workers.delivery.store.messages import FACTS, messages, recipients
from workers.foundation.moments import Moment

_OPEN = messages.c.closed_at.is_(None)


def of_wedding(db: Connection, wedding_id: str, *, limit: int) -> list[Message]:
    """Return the newest messages of a wedding."""
    query = select(*FACTS).where(messages.c.wedding_id == wedding_id).order_by(messages.c.id.desc())
    return [Message(*row) for row in db.execute(query.limit(limit))]


def since(db: Connection, moment: datetime, *, limit: int) -> list[Message]:
    """Return the newest messages that were sent from a moment on."""
    query = select(*FACTS).where(messages.c.sent_at >= moment).order_by(messages.c.id.desc())
    return [Message(*row) for row in db.execute(query.limit(limit))]


def exercises(db: Connection, wedding_ids: Collection[str]) -> dict[str, tuple[Moment, int, int, int]]:
    """Return of the newest exercise of each wedding when it was sent, to how many, and how many it missed.

    And of how many that is not known yet.
    """
    missed = recipients.c.state.in_(["unreachable", "expired"])
    open_ = recipients.c.state.in_(["pending", "sent"])
    of_these = messages.c.wedding_id == any_(literal(list(wedding_ids), ARRAY(Text)))
    newest = (
        select(messages.c.id, messages.c.wedding_id, messages.c.sent_at)
        .where(messages.c.status == Status.EXERCISE, of_these)
        .ext(distinct_on(messages.c.wedding_id))
        .order_by(messages.c.wedding_id, messages.c.id.desc())
        .subquery()
    )
    counts = (func.count(), func.count().filter(missed), func.count().filter(open_))
    query = (
        select(newest.c.wedding_id, newest.c.sent_at, *counts)
        .join(recipients, recipients.c.message_id == newest.c.id)
        .group_by(newest.c.wedding_id, newest.c.sent_at)
    )
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in db.execute(query)}


def behind(db: Connection, seconds: float) -> int:
    """Return how many messages were committed so long ago and are not published."""
    late = messages.c.committed_at < func.clock_timestamp() - timedelta(seconds=seconds)
    query = select(func.count()).where(messages.c.published_at.is_(None), _OPEN, late)
    return int(db.execute(query).scalar_one())


def unreached(db: Connection, *, limit: int) -> list[tuple[str, str, int]]:
    """Return (identifier, wedding, how many) of messages that hold and did not reach somebody."""
    query = (
        select(messages.c.identifier, messages.c.wedding_id, func.count())
        .join(recipients, recipients.c.message_id == messages.c.id)
        .where(_OPEN, recipients.c.state == "unreachable", messages.c.status == Status.ACTUAL)
        .group_by(messages.c.id)
        .order_by(messages.c.id.desc())
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in db.execute(query)]


def newest(db: Connection, thread: str) -> Message | None:
    """Return the message of a thread that holds."""
    query = select(*FACTS).where(messages.c.thread == thread).order_by(messages.c.revision.desc()).limit(1)
    row = db.execute(query).one_or_none()
    return Message(*row) if row else None


def missed(db: Connection, ids: Collection[str]) -> dict[str, tuple[int, int]]:
    """Return how many urgent messages weddings were sent, and how many recipients those missed."""
    of_these = messages.c.wedding_id == any_(literal(list(ids), ARRAY(Text)))
    lost = func.count().filter(recipients.c.state.in_(["unreachable", "expired"]))
    query = (
        select(messages.c.wedding_id, func.count(messages.c.id.distinct()), lost)
        .join(recipients, recipients.c.message_id == messages.c.id)
        .where(of_these, messages.c.status == Status.ACTUAL)
        .group_by(messages.c.wedding_id)
    )
    return {row[0]: (row[1], row[2]) for row in db.execute(query)}


def acknowledged(db: Connection, ids: Collection[str]) -> dict[str, tuple[int, int, float | None]]:
    """Return of weddings how many recipients urgent messages had, how many acknowledged, and how fast.

    In seconds from their commit, half of those who did; exercises count.
    """
    of_these = messages.c.wedding_id == any_(literal(list(ids), ARRAY(Text)))
    took = func.extract("epoch", recipients.c.acknowledged_at - messages.c.committed_at)
    half = func.percentile_cont(0.5).within_group(took).cast(Float)
    counts = func.count(), func.count(recipients.c.acknowledged_at), half
    query = (
        select(messages.c.wedding_id, *counts)
        .join(recipients, recipients.c.message_id == messages.c.id)
        .where(of_these)
        .group_by(messages.c.wedding_id)
    )
    return {row[0]: (row[1], row[2], row[3]) for row in db.execute(query)}
