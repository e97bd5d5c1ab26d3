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
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.weddings.rules.modes import Hold, Mode

holds = Table(
    "wedding_holds",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("wedding_id", Text, nullable=False, index=True),
    Column("region", Text, nullable=False),
    Column("zone", Text, nullable=False),
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
    end(db, hold.wedding_id, at=hold.at)
    db.execute(holds.insert().values(vars(hold)))


def end(db: Connection, wedding_id: str, *, at: Moment) -> bool:
    """End what somebody began for a wedding; False when there was nothing."""
    own = (holds.c.wedding_id == wedding_id) & (holds.c.until > at)
    return bool(db.execute(update(holds).where(own).values(until=at)).rowcount)


def of(db: Connection, ids: Collection[str], *, at: Moment) -> dict[str, Hold]:
    """Return what is held of some weddings."""
    among = holds.c.wedding_id == any_(literal(list(ids), ARRAY(Text)))
    return {one.wedding_id: one for one in _read(db, among & overlapping(at, at))}


def live(db: Connection, start: datetime, end: datetime) -> list[Hold]:
    """Return the weddings that were held live at some time in [start, end]."""
    return _read(db, (holds.c.mode == Mode.LIVE) & overlapping(start, end))


def overlapping(start: datetime, end: datetime) -> ColumnElement[bool]:
    """Tell the holds that held at some time in [start, end]."""
    return (holds.c.at <= end) & (holds.c.until > start)


def _read(db: Connection, which: ColumnElement[bool]) -> list[Hold]:
    rows = db.execute(select(*_FACTS).where(which).order_by(holds.c.id))
    return [Hold(**dict(row._mapping) | {"mode": Mode(row.mode)}) for row in rows]
