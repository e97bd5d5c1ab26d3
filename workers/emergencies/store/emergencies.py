"""Emergencies as rows, and what happened in each."""

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
    func,
    select,
    update,
)

from workers.emergencies.rules import StepState
from workers.foundation.database import expires, metadata
from workers.foundation.errors import ExpectedError
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
    #: The version of the protocols that it was opened by; 0 is the default.
    Column("protocol_version", BigInteger, nullable=False, server_default="0"),
    info=expires("closed_at"),
)
_OPEN = emergencies.c.state == "open"
Index("one_open_emergency", emergencies.c.wedding_id, emergencies.c.kind, unique=True, postgresql_where=_OPEN)

#: Each thing that happened, and who did it.
changes = Table(
    "emergency_changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "emergency_id",
        BigInteger,
        ForeignKey(emergencies.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("what", Text, nullable=False),
    Column("step", Integer),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
)


@dataclass(frozen=True)
class Emergency:
    """An emergency: what, where, since when; `key` is what it was asked for under."""

    id: int
    key: str
    kind: str
    wedding_id: str
    state: str
    opened_at: Moment
    closed_at: Moment | None
    protocol_version: int


_FACTS = [emergencies.c[name] for name in Emergency.__dataclass_fields__]


@dataclass(frozen=True)
class Change:
    """Something that happened in an emergency: `opened`, `due`, `completed`, `overdue` …"""

    at: Moment
    what: str
    step: int | None
    by: str
    reason: str


_CHANGE = [changes.c[name] for name in Change.__dataclass_fields__]


@dataclass(frozen=True)
class Opening:
    """The emergency that is open now, and whether it was opened by this."""

    id: int
    new: bool


def open_or_join(
    db: Connection, *, key: str, kind: str, wedding_id: str, protocol_version: int = 0, at: Moment
) -> Opening:
    """Open an emergency, or join the one of the same key, or of this kind that is open at this wedding."""
    row = {
        "key": key,
        "kind": kind,
        "wedding_id": wedding_id,
        "state": "open",
        "opened_at": at,
        "protocol_version": protocol_version,
    }
    same = (emergencies.c.kind == kind) & (emergencies.c.wedding_id == wedding_id) & _OPEN
    known = (
        select(emergencies.c.id).where((emergencies.c.key == key) | same).order_by(emergencies.c.key != key)
    )
    while True:
        if new := insert_once(db, emergencies, [row]):
            return Opening(int(new[0]), new=True)
        if (id := db.execute(known.limit(1)).scalar_one_or_none()) is not None:
            return Opening(int(id), new=False)
        # It was closed at this very moment.


class EmergencyUnknown(ExpectedError):
    """no emergency has the id {id}; `wedops emergency list` shows those that there are"""

    http_status = 404


def require(db: Connection, emergency_id: int, *, hold: bool = False) -> Emergency:
    """Return an emergency; `hold` locks it until the transaction ends. Raises EmergencyUnknown."""
    query = select(*_FACTS).where(emergencies.c.id == emergency_id)
    # Not the key: who remembers a change of it refers to that.
    row = db.execute(query.with_for_update(key_share=True) if hold else query).one_or_none()
    if row is None:
        raise EmergencyUnknown(id=emergency_id)
    return Emergency(*row)


def active(db: Connection, wedding_id: str = "") -> list[Emergency]:
    """Return the open emergencies, of a wedding or all, the newest first."""
    query = select(*_FACTS).where(_OPEN).order_by(emergencies.c.id.desc())
    own = query.where(emergencies.c.wedding_id == wedding_id) if wedding_id else query
    return [Emergency(*row) for row in db.execute(own)]


def recent(db: Connection, wedding_id: str, *, limit: int) -> list[Emergency]:
    """Return the newest emergencies, open or closed, of a wedding or of all."""
    query = select(*_FACTS).order_by(emergencies.c.id.desc()).limit(limit)
    own = query.where(emergencies.c.wedding_id == wedding_id) if wedding_id else query
    return [Emergency(*row) for row in db.execute(own)]


def close(db: Connection, emergency_id: int, *, at: Moment) -> None:
    """Close an emergency."""
    closing = update(emergencies).where(emergencies.c.id == emergency_id, _OPEN)
    db.execute(closing.values(state="closed", closed_at=at))


def note(
    db: Connection,
    emergency_id: int,
    what: str,
    *,
    at: Moment,
    by: str,
    step: int | None = None,
    reason: str = "",
) -> None:
    """Remember that something happened."""
    row = {"emergency_id": emergency_id, "at": at, "what": what, "step": step, "by": by, "reason": reason}
    db.execute(changes.insert().values(**row))


def history(db: Connection, emergency_id: int) -> list[Change]:
    """Return what happened in an emergency, in its order."""
    query = select(*_CHANGE).where(changes.c.emergency_id == emergency_id).order_by(changes.c.id)
    return [Change(*row) for row in db.execute(query)]


def since(db: Connection, moment: datetime, *, limit: int) -> list[tuple[Emergency, Change]]:
    """Return the newest that happened from a moment on, each with its emergency."""
    query = (
        select(*_FACTS, *_CHANGE)
        .join_from(changes, emergencies)
        .where(changes.c.at >= moment)
        .order_by(changes.c.id.desc())
        .limit(limit)
    )
    size = len(_FACTS)
    return [(Emergency(*row[:size]), Change(*row[size:])) for row in db.execute(query)]


def between(db: Connection, start: datetime, end: datetime) -> list[Emergency]:
    """Return the emergencies that were opened in [start, end), the first first."""
    own = (emergencies.c.opened_at >= start) & (emergencies.c.opened_at < end)
    return [Emergency(*row) for row in db.execute(select(*_FACTS).where(own).order_by(emergencies.c.id))]


def first_done(db: Connection, ids: Collection[int]) -> dict[int, Moment]:
    """Return when the first step of emergencies was done by somebody."""
    done = (changes.c.what == StepState.COMPLETED) & changes.c.emergency_id.in_(ids)
    query = select(changes.c.emergency_id, func.min(changes.c.at)).where(done)
    return {row[0]: row[1] for row in db.execute(query.group_by(changes.c.emergency_id))}
