"""What is asked about messages: those of a wedding, those that hold, what is behind."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from workers.delivery.formats import Message
from workers.delivery.rules import Status
from workers.delivery.store.messages import FACTS, messages, recipients

_OPEN = messages.c.closed_at.is_(None)


def of_wedding(db: Connection, wedding_id: str, *, limit: int) -> list[Message]:
    """Return the newest messages of a wedding."""
    query = select(*FACTS).where(messages.c.wedding_id == wedding_id).order_by(messages.c.id.desc())
    return [Message(*row) for row in db.execute(query.limit(limit))]


def since(db: Connection, moment: datetime, *, limit: int) -> list[Message]:
    """Return the newest messages that were sent from a moment on."""
    query = select(*FACTS).where(messages.c.sent_at >= moment).order_by(messages.c.id.desc())
    return [Message(*row) for row in db.execute(query.limit(limit))]


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
