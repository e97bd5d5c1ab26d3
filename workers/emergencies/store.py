"""Emergencies and their steps, as rows."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, DateTime, ForeignKey, Identity, Integer, Table, Text, select, update

from workers.emergencies.rules import Step
from workers.foundation.database import insert_once, metadata, over

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
    info=over("closed_at"),
)

steps = Table(
    "emergency_steps",
    metadata,
    Column("emergency_id", BigInteger, ForeignKey(emergencies.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("what", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True)
class Emergency:
    """An emergency as an operator reads it."""

    id: int
    kind: str
    wedding_id: str
    opened_at: datetime


def open_once(db: Connection, *, key: str, kind: str, wedding_id: str, protocol: tuple[Step, ...], at: datetime) -> int | None:
    """Open an emergency with its steps; None when the key was known."""
    row = {"key": key, "kind": kind, "wedding_id": wedding_id, "state": "open", "opened_at": at}
    opened: int | None
    [opened] = insert_once(db, emergencies, [row]) or [None]
    if opened:
        rows = [
            {"emergency_id": opened, "number": number, "what": step.what, "who": step.who, "due_at": at + step.within}
            for number, step in enumerate(protocol, start=1)
        ]
        insert_once(db, steps, rows)
    return opened


def standing(db: Connection) -> list[Emergency]:
    """Return the open emergencies, the newest first."""
    facts = [emergencies.c[name] for name in Emergency.__dataclass_fields__]
    rows = db.execute(select(*facts).where(emergencies.c.state == "open").order_by(emergencies.c.id.desc()))
    return [Emergency(*row) for row in rows]


def close(db: Connection, emergency_id: int, *, at: datetime) -> bool:
    """Close an emergency; False when none of that id is open."""
    open_one = (emergencies.c.id == emergency_id) & (emergencies.c.state == "open")
    return bool(db.execute(update(emergencies).where(open_one).values(state="closed", closed_at=at)).rowcount)
