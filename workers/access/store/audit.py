"""The log of who did what: appended to, never changed, kept until its owner drops it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, DateTime, Identity, Table, Text, select

from workers.access.rules.audit import Deed, Kind
from workers.foundation.database import metadata

log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, index=True),
    *(
        Column(name, Text, nullable=False)
        for name in ("kind", "who", "source", "login", "action", "subject", "outcome")
    ),
)


def append(db: Connection, deed: Deed) -> None:
    """Remember what somebody did."""
    db.execute(log.insert().values(**vars(deed)))


def since(
    db: Connection, moment: datetime, *, who: str = "", subject: str = "", limit: int
) -> Sequence[Deed]:
    """Return the newest deeds from a moment on, of somebody or about something."""
    query = select(*(log.c[name] for name in Deed.__dataclass_fields__)).where(log.c.at >= moment)
    query = query.where(log.c.who == who) if who else query
    query = query.where(log.c.subject == subject) if subject else query
    rows = db.execute(query.order_by(log.c.at.desc()).limit(limit)).mappings()
    return [Deed(**(dict(row) | {"kind": Kind(row["kind"])})) for row in rows]
