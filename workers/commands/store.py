"""Accepted requests, as rows: nothing that has a row is lost."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Column, Connection, DateTime, Index, Table, Text, func, select, update
from sqlalchemy.dialects.postgresql import JSONB

from workers.commands.rules.requests import Request
from workers.foundation.database import expires, metadata
from workers.foundation.moments import MachineMoment
from workers.foundation.rows import insert_once

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
    Column("caller", Text, nullable=False, server_default=""),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
    Column("settled_at", DateTime(timezone=True)),
    info=expires("settled_at"),
)
Index("unsettled_requests", requests.c.accepted_at, postgresql_where=requests.c.state == "accepted")


#: Longer than an emergency's task takes when all is well; a repeat does no harm, for effects have keys.
PATIENCE = timedelta(seconds=10)


_FACTS = tuple(requests.c[name] for name in Request.__dataclass_fields__)


def accept(db: Connection, request: Request, *, at: MachineMoment) -> Request:
    """Remember the request unless its key is known; return what stands under the key."""
    facts = ("key", "task", "message", "caller")
    insert_once(db, requests, [{name: getattr(request, name) for name in facts} | {"accepted_at": at}])
    return Request(*db.execute(select(*_FACTS).where(requests.c.key == request.key)).one())


def find(db: Connection, key: str) -> Request | None:
    """Return the request under `key`."""
    row = db.execute(select(*_FACTS).where(requests.c.key == key)).one_or_none()
    return Request(*row) if row else None


def callers(db: Connection, keys: Collection[str]) -> dict[str, str]:
    """Return who asked for what, by key; nothing of those that nobody asked for by a command."""
    rows = db.execute(select(requests.c.key, requests.c.caller).where(requests.c.key.in_(keys)))
    return {row.key: row.caller for row in rows}


def settle(
    db: Connection, key: str, *, at: MachineMoment, refused: str | None = None, effect: str | None = None
) -> None:
    """Remember, in the transaction of the effect, that the request is done; or why it was refused."""
    state = "refused" if refused else "done"
    pending = (requests.c.key == key) & (requests.c.state == "accepted")
    db.execute(
        update(requests).where(pending).values(state=state, reason=refused, effect=effect, settled_at=at)
    )


def waiting(db: Connection) -> int:
    """Return how many are accepted and not settled."""
    return int(db.execute(select(func.count()).where(requests.c.state == "accepted")).scalar_one())
