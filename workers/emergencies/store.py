"""Emergencies and their steps, as rows."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    select,
    update,
)

from workers.emergencies.rules import Step
from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once

emergencies = Table(
    "emergencies",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("wedding_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True)),
    info=expires("closed_at"),
)
_OPEN = emergencies.c.state == "open"
Index("one_open_emergency", emergencies.c.wedding_id, emergencies.c.kind, unique=True, postgresql_where=_OPEN)

steps = Table(
    "emergency_steps",
    metadata,
    Column("emergency_id", BigInteger, ForeignKey(emergencies.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("what", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True)
class Known:
    """An emergency as the timeline tells it; `key` is the one it was asked for under."""

    id: int
    key: str
    kind: str
    wedding_id: str
    opened_at: Moment
    closed_at: Moment | None


@dataclass(frozen=True)
class Due:
    """A step of an emergency's protocol: what is to be done, by whom, by when."""

    what: str
    owner: str
    due_at: datetime


@dataclass(frozen=True)
class Emergency:
    """An emergency as an operator reads it, with the steps of its protocol in their order."""

    id: int
    kind: str
    wedding_id: str
    opened_at: datetime
    steps: tuple[Due, ...] = ()


@dataclass(frozen=True)
class Opening:
    """The emergency that is open now, and whether it was opened by this."""

    id: int
    new: bool


def open_or_join(
    db: Connection, *, key: str, kind: str, wedding_id: str, protocol: tuple[Step, ...], at: Moment
) -> Opening:
    """Open an emergency with its steps.

    Join the one of the same key, or of this kind that is open at this wedding.
    """
    row = {"key": key, "kind": kind, "wedding_id": wedding_id, "state": "open", "opened_at": at}
    if not (new := insert_once(db, emergencies, [row])):
        same = (emergencies.c.kind == kind) & (emergencies.c.wedding_id == wedding_id) & _OPEN
        known = (
            select(emergencies.c.id)
            .where((emergencies.c.key == key) | same)
            .order_by(emergencies.c.key != key)
        )
        return Opening(int(db.execute(known.limit(1)).scalar_one()), new=False)
    rows = [
        {
            "emergency_id": new[0],
            "number": number,
            "what": step.what,
            "owner": step.owner,
            "due_at": at + step.within,
        }
        for number, step in enumerate(protocol, start=1)
    ]
    insert_once(db, steps, rows)
    return Opening(int(new[0]), new=True)


def active(db: Connection) -> list[Emergency]:
    """Return the open emergencies, the newest first."""
    facts = [emergencies.c[name] for name in ("id", "kind", "wedding_id", "opened_at")]
    rows = db.execute(select(*facts).where(_OPEN).order_by(emergencies.c.id.desc())).all()
    due = defaultdict[int, list[Due]](list)
    query = select(steps).where(steps.c.emergency_id.in_([row.id for row in rows]))
    for step in db.execute(query.order_by(steps.c.emergency_id, steps.c.number)):
        due[step.emergency_id].append(Due(step.what, step.owner, step.due_at))
    return [Emergency(row.id, row.kind, row.wedding_id, row.opened_at, tuple(due[row.id])) for row in rows]


def close(db: Connection, ids: Collection[int] = (), *, wedding_id: str = "", at: Moment) -> list[int]:
    """Close the open emergencies among `ids`, or all of a wedding; return those that were closed."""
    chosen = (emergencies.c.wedding_id == wedding_id) if wedding_id else emergencies.c.id.in_(ids)
    closing = update(emergencies).where(chosen, _OPEN).values(state="closed", closed_at=at)
    return sorted(db.execute(closing.returning(emergencies.c.id)).scalars())


def since(db: Connection, moment: datetime, *, limit: int) -> list[Known]:
    """Return the newest emergencies that were opened or closed from a moment on."""
    facts = [emergencies.c[name] for name in Known.__dataclass_fields__]
    within = (emergencies.c.opened_at >= moment) | (emergencies.c.closed_at >= moment)
    return [
        Known(*row)
        for row in db.execute(select(*facts).where(within).order_by(emergencies.c.id.desc()).limit(limit))
    ]
