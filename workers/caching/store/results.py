"""What optimisations did: `optimization_results`, a row each, with what came of it once that is known."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Identity,
    Integer,
    Table,
    Text,
    any_,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once, plain

WARM_UP = "warm_up"

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
    info=expires("at"),
)


@dataclass(frozen=True)
class Result:
    """What an optimisation did under a key."""

    key: str
    kind: str
    wedding_id: str | None
    detail: Mapping[str, Any]


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
