"""The calendar as the gate sees it, and who overrode it."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, DateTime, Identity, Table, Text, select

from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.weddings.rules.gate import Change, Override, Span
from workers.weddings.store import holds
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


def spans(db: Connection, start: datetime, end: datetime, region: str, *, now: Moment) -> list[Span]:
    """Return the weddings that take place and overlap [start, end), or are held live by hand.

    Of a region or (empty) of all.
    """
    facts = (weddings.c.starts_at, weddings.c.ends_at, weddings.c.zone, weddings.c.id)
    query = select(*facts).where(take_place(start, end))
    if region:
        query = query.where(weddings.c.region == region)
    found = {row.id: Span(*row) for row in db.execute(query)}
    # A wedding is near once, and a hold that was ended closes nothing any more.
    for one in holds.live(db, now, now):
        if region in ("", one.region):
            own = found.get(one.wedding_id, Span(one.at, one.until, one.zone, one.wedding_id))
            first, last = min(own.starts_at, one.at), max(own.ends_at, one.until)
            found[one.wedding_id] = own._replace(starts_at=first, ends_at=last)
    return list(found.values())


def active(db: Connection, change: Change, region: str, *, at: Moment) -> Override | None:
    """Return who has opened the gate for a change, in a region or everywhere, for longest."""
    own = (overrides.c.change == change) & overrides.c.region.in_(["", region]) & (overrides.c.until > at)
    query = select(*(overrides.c[name] for name in Override._fields)).where(own)
    row = db.execute(query.order_by(overrides.c.until.desc()).limit(1)).one_or_none()
    return Override(Change(row[0]), *row[1:]) if row else None


def override(db: Connection, found: Override, *, at: Moment) -> None:
    """Remember that somebody opened the gate."""
    db.execute(overrides.insert().values(found._asdict() | {"at": at}))
