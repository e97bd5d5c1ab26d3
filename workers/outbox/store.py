"""The outbox as rows. All its times are PostgreSQL's: no worker's clock holds an entry up, or hastens it."""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Identity,
    Index,
    Integer,
    Select,
    SmallInteger,
    Table,
    Text,
    Update,
    any_,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from workers.foundation.database import expires, metadata
from workers.foundation.moments import MachineMoment
from workers.foundation.rows import insert_once
from workers.outbox.rules import Dead, Entry, Lane, Message, Retry, State, Status

_NOW = func.now()
#: `LISTEN` here to be woken when something was written; it says no more than that.
CHANNEL = "wedops_outbox"
outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("version", SmallInteger, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("wedding_id", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    #: How often it was claimed: only grows, so that a late sender can be told from its successor.
    Column("claims", Integer, nullable=False, server_default="0"),
    Column("problem", Text, nullable=False, server_default=""),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("deadline", DateTime(timezone=True)),
    Column("settled_at", DateTime(timezone=True)),
    info=expires("settled_at"),
)
_WAITING = outbox.c.state == State.WAITING
Index("outbox_due", outbox.c.kind, outbox.c.lane, outbox.c.due_at, postgresql_where=_WAITING)
Index("outbox_settled", outbox.c.kind, outbox.c.settled_at)
_ENTRY = [outbox.c[name] for name in Entry.__dataclass_fields__]


def write(db: Connection, messages: Iterable[Message], *, claimed: Retry | None = None) -> int:
    """Remember messages to send.

    Return how many keys are new. With `claimed` the writer makes the first attempt itself.
    """
    tried = int(claimed is not None)
    first = {"attempts": tried, "claims": tried, "due_at": _NOW + claimed.lease if claimed else _NOW}
    new = len(insert_once(db, outbox, [_row(one) | first for one in messages]))
    if new and not claimed:
        db.execute(select(func.pg_notify(CHANNEL, "")))
    return new


def _row(message: Message) -> dict[str, Any]:
    row = {**vars(message), "deadline": _NOW + message.lasts if message.lasts else None}
    del row["lasts"]
    return row


#: The newest form of a body that this version reads. A later one is left to a worker that knows it.
READS = 1


def claim(
    db: Connection, kind: str, retry: Retry, *, but: Collection[str] = (), emergency: bool = False
) -> Entry | None:
    """Return the entry whose turn it is, counted as tried and held until the end of its lease.

    Of emergencies the newest first, then all others by when they are due; with `emergency` only those. No
    recipient in `but`. An attempt that kills its sender counts, too.
    """
    due = (outbox.c.kind == kind) & (outbox.c.due_at <= _NOW) & outbox.c.recipient.not_in(list(but))
    due &= outbox.c.version <= READS
    urgent = select(outbox.c.id).where(_WAITING, due, outbox.c.lane == Lane.EMERGENCY)
    found = _claim(db, urgent.order_by(outbox.c.id.desc()), retry)
    if found or emergency:
        return found
    others = select(outbox.c.id).where(_WAITING, due, outbox.c.lane > Lane.EMERGENCY)
    return _claim(db, others.order_by(outbox.c.lane, outbox.c.due_at), retry)


def _claim(db: Connection, entries: Select[Any], retry: Retry) -> Entry | None:
    first = entries.limit(1)
    held = update(outbox).where(outbox.c.id == first.with_for_update(skip_locked=True).scalar_subquery())
    changed = held.values(
        attempts=outbox.c.attempts + 1, claims=outbox.c.claims + 1, due_at=_NOW + retry.lease
    )
    row = db.execute(changed.returning(*_ENTRY)).one_or_none()
    return Entry(*row) if row else None


def _settle(state: State) -> Update:
    return update(outbox).where(_WAITING).values(state=state, settled_at=_NOW)


def sent(db: Connection, keys: Iterable[str]) -> None:
    """Remember that messages arrived, or had their effect."""
    db.execute(_settle(State.SENT).values(problem="").where(outbox.c.key.in_(list(keys))))


def withdraw(db: Connection, keys: Iterable[str]) -> None:
    """Have what waits under these keys not be sent."""
    db.execute(_settle(State.WITHDRAWN).where(outbox.c.key.in_(list(keys))))


def withdraw_for(db: Connection, kind: str, recipient: str) -> None:
    """Have nothing more of a kind be sent to a recipient."""
    db.execute(_settle(State.WITHDRAWN).where(outbox.c.kind == kind, outbox.c.recipient == recipient))


def expire(db: Connection, kind: str) -> int:
    """Withdraw what nobody needs any more and nobody just sends; return how many."""
    late = (outbox.c.kind == kind) & (outbox.c.deadline <= _NOW) & (outbox.c.due_at <= _NOW)
    return db.execute(_settle(State.WITHDRAWN).values(problem="its deadline passed").where(late)).rowcount


def give_up(db: Connection, entry: Entry, problem: str) -> None:
    """Remember that an entry is tried no more."""
    db.execute(_settle(State.DEAD).values(problem=problem).where(_held(entry)))


def again(db: Connection, entry: Entry, after: timedelta, *, problem: str = "", counts: bool = True) -> None:
    """Have an entry be tried again after a while."""
    values: dict[str, Any] = {
        "due_at": _NOW + after,
        "problem": problem,
        "attempts": entry.attempts - (not counts),
    }
    db.execute(update(outbox).where(_WAITING, _held(entry)).values(values))


def defer(db: Connection, kind: str, entry: Entry, wait: timedelta) -> None:
    """Have what else waits for the recipient of an entry wait a while.

    Who hangs must not keep all others waiting.
    """
    others = (outbox.c.kind == kind) & (outbox.c.recipient == entry.recipient) & (outbox.c.id != entry.id)
    db.execute(
        update(outbox).where(_WAITING, others).values(due_at=func.greatest(outbox.c.due_at, _NOW + wait))
    )


def postpone(db: Connection, keys: Iterable[str], wait: timedelta) -> None:
    """Have entries that are due be tried after a while, and count no attempt."""
    due = _WAITING & (outbox.c.due_at <= _NOW) & (outbox.c.key == any_(literal(list(keys), ARRAY(Text))))
    db.execute(update(outbox).where(due).values(due_at=_NOW + wait))


def entries(db: Connection, keys: Iterable[str]) -> list[Entry]:
    """Return what waits under these keys."""
    rows = db.execute(select(*_ENTRY).where(_WAITING, outbox.c.key.in_(list(keys))).order_by(outbox.c.id))
    return [Entry(*row) for row in rows]


def _held(entry: Entry) -> Any:
    # Whoever took longer than the lease changes nothing of what its successor found out.
    return (outbox.c.id == entry.id) & (outbox.c.claims == entry.claims)


def waiting(db: Connection, kind: str) -> list[str]:
    """Return the keys that wait."""
    return list(
        db.execute(
            select(outbox.c.key).where(_WAITING, outbox.c.kind == kind).order_by(outbox.c.id)
        ).scalars()
    )


def statuses(db: Connection, keys: Iterable[str]) -> dict[str, Status]:
    """Return what became of entries, by key."""
    facts = (outbox.c.key, outbox.c.state, outbox.c.attempts, outbox.c.settled_at)
    rows = db.execute(select(*facts).where(outbox.c.key.in_(list(keys))))
    return {row.key: Status(State(row.state), row.attempts, row.settled_at) for row in rows}


def failing(db: Connection, kind: str, *, attempts: int = 3) -> int:
    """Return how many entries of a kind were tried so often, or were given up in the last day.

    Somebody should know.
    """
    dead = (outbox.c.state == State.DEAD) & (outbox.c.settled_at > _NOW - timedelta(days=1))
    failed = (_WAITING & (outbox.c.attempts >= attempts)) | dead
    return int(db.execute(select(func.count()).where(outbox.c.kind == kind, failed)).scalar_one())


def latest_sent(db: Connection, kind: str, *, limit: int) -> list[tuple[MachineMoment, Mapping[str, Any]]]:
    """Return when the newest that were sent arrived, and their bodies, the newest first."""
    newest = select(outbox.c.settled_at, outbox.c.body).where(
        outbox.c.kind == kind, outbox.c.state == State.SENT
    )
    rows = db.execute(newest.order_by(outbox.c.settled_at.desc()).limit(limit))
    return [(row.settled_at, row.body) for row in rows]


def dead(db: Connection, *, limit: int) -> list[Dead]:
    """Return what was given up, the newest first."""
    facts = [outbox.c[name] for name in Dead.__dataclass_fields__]
    rows = db.execute(
        select(*facts).where(outbox.c.state == State.DEAD).order_by(outbox.c.settled_at.desc()).limit(limit)
    )
    return [Dead(*row) for row in rows]


def count_dead(db: Connection) -> int:
    """Return how many entries were given up, and wait for somebody to replay them."""
    return int(db.execute(select(func.count()).where(outbox.c.state == State.DEAD)).scalar_one())


def revive(db: Connection, entry_id: int) -> bool:
    """Have a dead entry be sent as if it were new; False when there is none."""
    fresh = {
        "state": State.WAITING,
        "attempts": 0,
        "problem": "",
        "due_at": _NOW,
        "deadline": None,
        "settled_at": None,
    }
    gone = (outbox.c.id == entry_id) & (outbox.c.state == State.DEAD)
    return bool(db.execute(update(outbox).where(gone).values(fresh)).rowcount)
