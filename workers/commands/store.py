"""Accepted requests, as rows: nothing that has a row is lost."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, Connection, DateTime, Index, Integer, Table, Text, func, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB

from workers.foundation.database import insert_once, metadata, over
from workers.foundation.moments import MachineMoment

requests = Table(
    "requests",
    metadata,
    Column("key", Text, primary_key=True),
    Column("task", Text, nullable=False),
    Column("message", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="accepted"),
    Column("reason", Text),
    # What came of it, for who asked: `emergency 7`.
    Column("effect", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("settled_at", DateTime(timezone=True)),
    info=over("settled_at"),
)
Index("unsettled_requests", requests.c.accepted_at, postgresql_where=requests.c.state == "accepted")


@dataclass(frozen=True)
class Request:
    """What was asked. `state` is accepted, done or refused."""

    key: str
    task: str
    message: dict[str, Any]
    state: str = "accepted"
    reason: str | None = None
    effect: str | None = None


_FACTS = tuple(requests.c[name] for name in Request.__dataclass_fields__)


def accept(db: Connection, request: Request, *, at: MachineMoment) -> Request:
    """Remember the request unless its key is known; return what stands under the key."""
    row = {"key": request.key, "task": request.task, "message": request.message, "accepted_at": at}
    insert_once(db, requests, [row])
    return Request(*db.execute(select(*_FACTS).where(requests.c.key == request.key)).one())


def find(db: Connection, key: str) -> Request | None:
    """Return the request under `key`."""
    row = db.execute(select(*_FACTS).where(requests.c.key == key)).one_or_none()
    return Request(*row) if row else None


def sent(db: Connection, keys: list[str], *, at: MachineMoment) -> None:
    """Remember that these went to the broker."""
    db.execute(update(requests).where(requests.c.key.in_(keys)).values(sent_at=at, attempts=requests.c.attempts + 1))


def settle(db: Connection, key: str, *, at: MachineMoment, refused: str | None = None, effect: str | None = None) -> None:
    """Remember, in the transaction of the effect, that the request is done; or why it was refused."""
    state = "refused" if refused else "done"
    pending = (requests.c.key == key) & (requests.c.state == "accepted")
    db.execute(update(requests).where(pending).values(state=state, reason=refused, effect=effect, settled_at=at))


def unsettled(db: Connection, *, at: MachineMoment, patience: timedelta, most: int = 500) -> list[Request]:
    """Return requests that had no effect for `patience` since they were sent, oldest first.

    The patience doubles with every attempt, up to 64 times: a backlog must not be fed with copies of itself.
    """
    doubled = func.power(2, func.least(func.greatest(requests.c.attempts - 1, 0), 6))
    # What was sent by a clock that ran ahead would wait for it.
    ahead = requests.c.sent_at > at + timedelta(minutes=1)
    silent = or_(requests.c.sent_at.is_(None), requests.c.sent_at + patience * doubled <= at, ahead)
    rows = db.execute(
        select(*_FACTS)
        .where(requests.c.state == "accepted", silent)
        .order_by(requests.c.accepted_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return [Request(*row) for row in rows]


def waiting(db: Connection) -> int:
    """Return how many are accepted and not settled."""
    return int(db.execute(select(func.count()).where(requests.c.state == "accepted")).scalar_one())
