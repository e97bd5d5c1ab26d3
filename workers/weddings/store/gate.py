"""The calendar as the gate sees it, and who overrode it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, DateTime, Identity, Table, Text, func, select

from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.weddings.rules.gate import Change, Span
from workers.weddings.store.tables import weddings
from workers.weddings.store.weddings import take_place

#: Who opened the gate, for what, until when and why.
overrides = Table(
    "gate_overrides",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("change", Text, nullable=False),
    # Empty is all.
    Column("region", Text, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    info=expires("until"),
)


@dataclass(frozen=True)
class Override:
    """Who opened the gate, for what, until when and why; an empty region is all."""

    change: Change
    region: str
    until: Moment
    by: str
    reason: str


def spans(db: Connection, start: datetime, end: datetime, region: str) -> list[Span]:
    """Return the weddings that take place and overlap [start, end), of a region or (empty) of all."""
    facts = (weddings.c.starts_at, weddings.c.ends_at, weddings.c.zone, weddings.c.id)
    query = select(*facts).where(take_place(start, end))
    if region:
        query = query.where(weddings.c.region == region)
    return [Span(*row) for row in db.execute(query)]


def open_until(db: Connection, change: Change, region: str, *, at: Moment) -> Moment | None:
    """Return until when somebody has opened the gate for a change in a region, or everywhere."""
    own = (overrides.c.change == change) & overrides.c.region.in_(["", region]) & (overrides.c.until > at)
    found: Moment | None = db.execute(select(func.max(overrides.c.until)).where(own)).scalar_one()
    return found


def override(db: Connection, found: Override, *, at: Moment) -> None:
    """Remember that somebody opened the gate."""
    db.execute(overrides.insert().values(**vars(found), at=at))
