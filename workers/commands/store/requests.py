"""Accepted requests, as rows: nothing that has a row is lost."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Index,
    Table,
    Text,
    any_,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from workers.commands.rules.requests import Request
from workers.foundation.database import expires, metadata
from workers.foundation.errors import ExpectedError
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


class RequestHidden(ExpectedError):
    """request_key {key!r} was used for something else; use a new key for a new request"""

    http_status = 409
    keeps_message = True


_FACTS = tuple(requests.c[name] for name in Request.__dataclass_fields__)


def accept(db: Connection, asked: Sequence[Request], *, at: MachineMoment) -> list[Request]:
    """Remember requests, but those whose key is known; return what stands under the keys, in their order."""
    facts = ("key", "task", "message", "caller")
    insert_once(
        db, requests, [{name: getattr(one, name) for name in facts} | {"accepted_at": at} for one in asked]
    )
    keys = [one.key for one in asked]
    found = {row.key: Request(*row) for row in db.execute(select(*_FACTS).where(_among(keys)))}
    if hidden := [key for key in keys if key not in found]:
        # It is another wedding's, which who asks is not shown.
        raise RequestHidden(key=hidden[0])
    return [found[key] for key in keys]


def find(db: Connection, key: str) -> Request | None:
    """Return the request under `key`."""
    row = db.execute(select(*_FACTS).where(requests.c.key == key)).one_or_none()
    return Request(*row) if row else None


def since(
    db: Connection, moment: datetime, *, caller: str, wedding_id: str, limit: int
) -> list[tuple[datetime, str, str, str, str]]:
    """Return what was asked since a moment, the newest first: when, caller, task, wedding, state."""
    about = func.coalesce(requests.c.message["wedding_id"].astext, "")
    asked = select(requests.c.accepted_at, requests.c.caller, requests.c.task, about, requests.c.state)
    query = asked.where(requests.c.accepted_at >= moment).order_by(requests.c.accepted_at.desc())
    query = query.where(requests.c.caller == caller) if caller else query
    query = query.where(about == wedding_id) if wedding_id else query
    return [tuple(row) for row in db.execute(query.limit(limit))]


def callers(db: Connection, keys: Collection[str]) -> dict[str, str]:
    """Return who asked for what, by key; nothing of those that nobody asked for by a command."""
    rows = db.execute(select(requests.c.key, requests.c.caller).where(_among(list(keys))))
    return {row.key: row.caller for row in rows}


def accepted(db: Connection, tasks: Collection[str], since: datetime) -> list[str]:
    """Return the keys of what was asked of some tasks from a moment on, and is not settled."""
    ours = (requests.c.state == "accepted") & requests.c.task.in_(tasks) & (requests.c.accepted_at >= since)
    return list(db.execute(select(requests.c.key).where(ours)).scalars())


def _among(keys: list[str]) -> ColumnElement[bool]:
    # One array, and not a parameter each.
    return requests.c.key == any_(literal(keys, ARRAY(Text)))


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
