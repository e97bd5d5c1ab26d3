"""Protocols that were loaded: every set that ever held; the newest holds."""

from collections.abc import Sequence

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


def current(db: Connection) -> tuple[int, Sequence[Protocol]]:
    """Return the version that holds, and its protocols; 0 and none before any was loaded."""
    query = select(protocols.c.id, protocols.c.document).order_by(protocols.c.id.desc()).limit(1)
    row = db.execute(query).one_or_none()
    return (row.id, Protocols.model_validate(row.document).protocol) if row else (0, ())


def replace(db: Connection, document: Protocols, *, requested_by: str, reason: str, at: Moment) -> int:
    """Have other protocols hold for what is opened from now on; return their version."""
    values = {
        "document": document.model_dump(mode="json"),
        "requested_by": requested_by,
        "reason": reason,
        "at": at,
    }
    return int(db.execute(protocols.insert().values(**values).returning(protocols.c.id)).scalar_one())
