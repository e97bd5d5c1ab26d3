"""The modes that people began by hand. All is kept until long after."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Identity,
    Table,
    Text,
    any_,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import Status
from workers.weddings.rules.modes import Hold, Live, Mode
from workers.weddings.store.tables import weddings

holds = Table(
    "wedding_holds",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("wedding_id", Text, nullable=False, index=True),
    Column("mode", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    # Ended before its time, it is then.
    Column("until", DateTime(timezone=True), nullable=False, index=True),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    info=expires("until"),
)
_FACTS = [holds.c[name] for name in Hold.__dataclass_fields__]


def begin(db: Connection, hold: Hold) -> None:
    """Remember that somebody holds a wedding in a mode; a hold before it ends."""
    # Of two who begin one at once the second ends the first's.
    db.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 24))"), {"id": hold.wedding_id})
    end(db, hold.wedding_id, at=hold.at)
    db.execute(holds.insert().values(vars(hold)))


def end(db: Connection, wedding_id: str, *, at: Moment) -> bool:
    """End what somebody began for a wedding; False when there was nothing."""
    own = (holds.c.wedding_id == wedding_id) & (holds.c.until > at)
    return bool(db.execute(update(holds).where(own).values(until=at)).rowcount)


def of(db: Connection, ids: Collection[str], *, at: Moment) -> dict[str, Hold]:
    """Return what is held of some weddings."""
    among = holds.c.wedding_id == any_(literal(list(ids), ARRAY(Text)))
    query = select(*_FACTS).where(among & overlapping(at, at)).order_by(holds.c.id)
    rows = (row._mapping for row in db.execute(query))
    return {row["wedding_id"]: Hold(**dict(row) | {"mode": Mode(row["mode"])}) for row in rows}


def live(db: Connection, start: datetime, end: datetime) -> list[Live]:
    """Return the weddings that were held live at some time in [start, end].

    Those that are cancelled, or gone from the calendar, are not.
    """
    named = holds.c.wedding_id, weddings.c.region, weddings.c.zone, holds.c.at, holds.c.until
    own = (holds.c.mode == Mode.LIVE) & overlapping(start, end) & (weddings.c.status != Status.CANCELLED)
    query = select(*named).join_from(holds, weddings, holds.c.wedding_id == weddings.c.id).where(own)
    return [Live(*row) for row in db.execute(query.order_by(holds.c.id))]


def active(db: Connection, *, at: Moment) -> list[str]:
    """Return the weddings that are held in a mode."""
    return list(db.execute(select(holds.c.wedding_id).where(overlapping(at, at))).scalars())


def overlapping(start: datetime, end: datetime) -> ColumnElement[bool]:
    """Tell the holds that held at some time in [start, end]."""
    return (holds.c.at <= end) & (holds.c.until > start)
