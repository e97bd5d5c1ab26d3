"""Silences that people asked for: kept for good, also when they have ended."""

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, DateTime, Identity, Table, Text, select, update

from workers.alerts.rules.kinds import Severity
from workers.alerts.rules.muting import Silence
from workers.foundation.database import metadata
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment

silences = Table(
    "alert_silences",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("kind", "subject", "region")),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False, index=True),
    *(Column(name, Text, nullable=False) for name in ("up_to", "weekly", "only", "requested_by", "reason")),
)


class SilenceUnknown(ExpectedError):
    """silence {silence_id} does not hold; `wedops alerts silences` shows those that do"""

    http_status = 404


def add(db: Connection, **facts: Any) -> int:
    """Remember a silence; return its id."""
    return int(db.execute(silences.insert().values(**facts).returning(silences.c.id)).scalar_one())


def active(db: Connection, *, at: Moment) -> list[Silence]:
    """Return the silences that are not over at a moment."""
    rows = db.execute(select(silences).where(silences.c.ends_at > at).order_by(silences.c.id)).mappings()
    return [Silence(**dict(row) | {"up_to": Severity(row["up_to"])}) for row in rows]


def end(db: Connection, silence_id: int, *, at: Moment) -> None:
    """End a silence now; raises SilenceUnknown."""
    holds = (silences.c.id == silence_id) & (silences.c.ends_at > at)
    if not db.execute(update(silences).where(holds).values(ends_at=at)).rowcount:
        raise SilenceUnknown(silence_id=silence_id)
