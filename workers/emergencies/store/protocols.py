"""Protocols that were loaded: every set that ever held; the newest holds."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, DateTime, Identity, Table, Text, select
from sqlalchemy.dialects.postgresql import JSONB

from workers.emergencies.rules import Protocol, Protocols
from workers.foundation.database import metadata
from workers.foundation.moments import Moment

protocols = Table(
    "emergency_protocols",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True)
class Loaded:
    """Protocols that hold, and who had them hold, why and when; version 0 before any were loaded."""

    version: int = 0
    protocols: Sequence[Protocol] = ()
    requested_by: str = ""
    reason: str = ""
    at: Moment | None = None


def current(db: Connection) -> Loaded:
    """Return what holds."""
    row = db.execute(select(protocols).order_by(protocols.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return Loaded()
    own = Protocols.model_validate(row.document).protocol
    return Loaded(row.id, own, row.requested_by, row.reason, row.at)


def replace(db: Connection, document: Protocols, *, requested_by: str, reason: str, at: Moment) -> int:
    """Have other protocols hold for what is opened from now on; return their version."""
    values = {
        "document": document.model_dump(mode="json"),
        "requested_by": requested_by,
        "reason": reason,
        "at": at,
    }
    return int(db.execute(protocols.insert().values(**values).returning(protocols.c.id)).scalar_one())
