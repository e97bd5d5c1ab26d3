"""The days to come on which something may not suffice, as they were seen last."""

from collections.abc import Iterable

from sqlalchemy import Column, Connection, Date, DateTime, Integer, Table, Text, select

from workers.foundation.database import metadata
from workers.scaling.rules.capacity import FullDay, Limit

days = Table(
    "scaling_full_days",
    metadata,
    Column("region", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("limit_name", Text, primary_key=True),
    Column("needed", Integer, nullable=False),
    Column("max", Integer, nullable=False),
)


def replace(db: Connection, found: Iterable[FullDay]) -> None:
    """Remember these days instead of those before."""
    db.execute(days.delete())
    for one in found:
        db.execute(
            days.insert().values(
                **{"limit_name" if name == "limit" else name: value for name, value in vars(one).items()}
            )
        )


def known(db: Connection) -> list[FullDay]:
    """Return them by day."""
    rows = db.execute(select(days).order_by(days.c.day, days.c.region))
    return [FullDay(row.region, row.day, row.at, Limit(row.limit_name), row.needed, row.max) for row in rows]
