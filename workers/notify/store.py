"""Notifications as rows: written with what they are about, sent after, once a key."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, DateTime, Index, Integer, Table, Text, func, select, update

from workers.foundation.database import insert_once, metadata

#: A notification that failed this often, after some eight hours, stays as a row and is tried no more.
ATTEMPTS = 60
#: After a failure the next try waits this long, then twice as long, up to 64 times.
PATIENCE = timedelta(seconds=8)

notifications = Table(
    "notifications",
    metadata,
    Column("key", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("tried_at", DateTime(timezone=True)),
    Column("sent_at", DateTime(timezone=True)),
)
Index("unsent_notifications", notifications.c.created_at, postgresql_where=notifications.c.sent_at.is_(None))


@dataclass(frozen=True)
class Notification:
    """Something to tell; the key makes it one, however often it is written."""

    key: str
    title: str
    body: str
    severity: str


def write(db: Connection, notification: Notification, *, at: datetime) -> bool:
    """Remember a notification to send; False when its key was known."""
    row = vars(notification) | {"created_at": at}
    return bool(insert_once(db, notifications, [row]))


def claim(db: Connection, *, at: datetime) -> Notification | None:
    """Return the oldest that is not sent and whose turn it is, held by this transaction against others."""
    unsent = notifications.c.sent_at.is_(None) & (notifications.c.attempts < ATTEMPTS)
    doubled = func.power(2, func.least(notifications.c.attempts - 1, 6))
    untried = notifications.c.tried_at.is_(None) | (notifications.c.tried_at + PATIENCE * doubled <= at)
    facts = [notifications.c[name] for name in Notification.__dataclass_fields__]
    oldest = select(*facts).where(unsent, untried).order_by(notifications.c.created_at).limit(1)
    row = db.execute(oldest.with_for_update(skip_locked=True)).first()
    return Notification(*row) if row else None


def overdue(db: Connection, *, attempts: int = 3) -> int:
    """Return how many failed so often that somebody should know."""
    failed = notifications.c.sent_at.is_(None) & (notifications.c.attempts >= attempts)
    return int(db.execute(select(func.count()).where(failed)).scalar_one())


def tried(db: Connection, key: str, *, arrived: bool, at: datetime) -> None:
    """Remember an attempt, and whether it arrived."""
    values = {"attempts": notifications.c.attempts + 1, "tried_at": at, "sent_at": at if arrived else None}
    db.execute(update(notifications).where(notifications.c.key == key).values(**values))
