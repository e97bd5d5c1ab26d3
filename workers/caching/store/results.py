"""What optimisations did: `optimization_results`, a row each, with what came of it once that is known."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    any_,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once, pairs, plain

WARM_UP = "warm_up"
#: So many results say whether a step helps.
RECENT = 20

results = Table(
    "optimization_results",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("wedding_id", Text),
    Column("actions", Integer, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    # What it was for: an operation that was slow, or too small; and what that took before and after, less is
    # better.
    Column("operation", Text),
    Column("before", Float),
    Column("after", Float),
    # Until when it holds, and when it was undone.
    Column("until", DateTime(timezone=True)),
    Column("undone_at", DateTime(timezone=True)),
    info=expires("at"),
)
Index("results_by_kind", results.c.kind, results.c.operation, results.c.id.desc())
Index(
    "results_that_hold",
    results.c.until,
    postgresql_where=results.c.until.is_not(None) & results.c.undone_at.is_(None),
)


@dataclass(frozen=True)
class Result:
    """What an optimisation did under a key.

    `before` is what its operation took, `after` once it was done, None where that is not known yet; less is
    better. `until` is when it is undone by itself.
    """

    key: str
    kind: str
    wedding_id: str | None
    detail: Mapping[str, Any]
    operation: str | None = None
    before: float | None = None
    after: float | None = None
    until: datetime | None = None


def record(db: Connection, done: Iterable[Result], *, at: Moment) -> int:
    """Remember what optimisations did, each once a key; return how many keys are new."""
    rows = [vars(one) | {"actions": one.detail.get("entries", 0), "at": at} for one in done]
    return len(insert_once(db, results, rows))


def add(db: Connection, key: str, detail: Mapping[str, Any]) -> None:
    """Add to what is known of a result; nothing where it was dropped."""
    # What is known already stays: evaluated twice, it says what the first look found.
    own = results.c.key == key
    known = db.execute(select(results.c.detail).where(own).with_for_update()).scalar_one_or_none()
    if known is not None:
        db.execute(results.update().where(own).values(detail=dict(detail) | known))


def detail(db: Connection, key: str) -> dict[str, Any] | None:
    """Return what is known of a result; None where there is none."""
    found: dict[str, Any] | None = db.execute(
        select(results.c.detail).where(results.c.key == key)
    ).scalar_one_or_none()
    return found


def known(db: Connection, keys: Iterable[str]) -> set[str]:
    """Return those of some keys under which there is a result."""
    among = results.c.key == any_(literal(list(keys), ARRAY(Text)))
    return set(db.execute(select(results.c.key).where(among)).scalars())


def measured(db: Connection, after: Mapping[str, float]) -> None:
    """Remember what the operation of results takes once they are done, by key."""
    own = pairs({key: str(value) for key, value in after.items()}, "after")
    values = {"after": cast(own.c.after, Float)}
    db.execute(results.update().where(results.c.key == own.c.id).values(values))


def unmeasured(db: Connection, kind: str, *, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Return the results of a kind of [since, until) whose effect is not known yet."""
    own = (results.c.kind == kind) & (results.c.at >= since) & (results.c.at < until)
    query = select(results).where(own, results.c.before.is_not(None), results.c.after.is_(None))
    return plain(db.execute(query.order_by(results.c.id)))


def expired(db: Connection, kind: str, *, at: Moment) -> list[dict[str, Any]]:
    """Return the results of a kind that hold no longer and are not undone."""
    own = (results.c.kind == kind) & (results.c.until <= at) & results.c.undone_at.is_(None)
    return plain(db.execute(select(results).where(own).order_by(results.c.id)))


def active(db: Connection, kind: str) -> list[dict[str, Any]]:
    """Return the results of a kind that are not undone, and have an end, the first first."""
    own = (results.c.kind == kind) & results.c.until.is_not(None) & results.c.undone_at.is_(None)
    return plain(db.execute(select(results).where(own).order_by(results.c.id)))


def undo(db: Connection, id: int, *, at: Moment) -> bool:
    """Remember that a result was undone; False when it was already."""
    own = (results.c.id == id) & results.c.undone_at.is_(None)
    return bool(db.execute(results.update().where(own).values(undone_at=at)).rowcount)


def find(db: Connection, id: int) -> dict[str, Any] | None:
    """Return a result; None when there is none."""
    found = plain(db.execute(select(results).where(results.c.id == id)))
    return found[0] if found else None


def recent(db: Connection, kind: str, operation: str, *, since: datetime) -> list[tuple[float, float]]:
    """Return what an operation took before and after the newest results of a kind since a moment."""
    own = (results.c.kind == kind) & (results.c.operation == operation) & (results.c.at > since)
    query = select(results.c.before, results.c.after).where(own, results.c.after.is_not(None))
    return [(row[0], row[1]) for row in db.execute(query.order_by(results.c.id.desc()).limit(RECENT))]


def of_operations(db: Connection, *, limit: int) -> list[dict[str, Any]]:
    """Return what was done for an operation, the newest first."""
    query = select(results).where(results.c.operation.is_not(None)).order_by(results.c.id.desc())
    return plain(db.execute(query.limit(limit)))


def count(db: Connection, kind: str) -> int:
    """Return how many results of a kind there are."""
    return int(db.execute(select(func.count()).where(results.c.kind == kind)).scalar_one())


def newest(db: Connection, kind: str, wedding_ids: Collection[str]) -> dict[str, Moment]:
    """Return when something of a kind was last done for each of some weddings."""
    among = results.c.wedding_id == any_(literal(list(wedding_ids), ARRAY(Text)))
    query = select(results.c.wedding_id, func.max(results.c.at)).where(results.c.kind == kind, among)
    return {row[0]: row[1] for row in db.execute(query.group_by(results.c.wedding_id))}


def of_wedding(db: Connection, wedding_id: str, *, limit: int = 20) -> list[dict[str, Any]]:
    """Return what was made ready or done for a wedding, the newest first."""
    query = (
        select(results).where(results.c.wedding_id == wedding_id).order_by(results.c.id.desc()).limit(limit)
    )
    return plain(db.execute(query))


def evaluated(db: Connection, *, limit: int) -> list[dict[str, Any]]:
    """Return the warm-ups of which it is known what they were worth, the newest first."""
    known = (results.c.kind == WARM_UP) & results.c.detail.has_key("precision")
    return plain(db.execute(select(results).where(known).order_by(results.c.id.desc()).limit(limit)))
