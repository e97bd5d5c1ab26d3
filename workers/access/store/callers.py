"""Keys of callers: their secrets only as digests."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, DateTime, Table, Text, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from workers.access.rules.callers import Key
from workers.foundation.database import metadata

keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("caller", Text, nullable=False, index=True),
    Column("digest", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("supplier_ids", ARRAY(Text), nullable=False),
    Column("wedding_ids", ARRAY(Text), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("made_by", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("used_at", DateTime(timezone=True)),
)
#: When a key was used last is noted this often.
NOTED = timedelta(minutes=1)


def add(db: Connection, key: Key) -> None:
    """Keep a new key."""
    db.execute(keys.insert().values(**{name: _plain(value) for name, value in vars(key).items()}))


def find(db: Connection, id: str) -> Key | None:
    """Return a key."""
    found = _found(db, keys.c.id == id)
    return found[0] if found else None


def of(db: Connection, caller: str = "") -> Sequence[Key]:
    """Return the keys of a caller, or all, by caller and age."""
    return _found(db, keys.c.caller == caller if caller else keys.c.id.is_not(None))


def _found(db: Connection, which: ColumnElement[bool]) -> list[Key]:
    query = select(*(keys.c[name] for name in Key.__dataclass_fields__)).where(which)
    rows = db.execute(query.order_by(keys.c.caller, keys.c.made_at))
    return [Key(**{name: _kept(value) for name, value in row.items()}) for row in rows.mappings()]


def note_used(db: Connection, id: str, *, at: datetime) -> None:
    """Note that a key was used, unless that was noted a moment ago."""
    long_ago = or_(keys.c.used_at.is_(None), keys.c.used_at < at - NOTED)
    db.execute(update(keys).where(keys.c.id == id, long_ago).values(used_at=at))


def revoke(db: Connection, ids: Sequence[str], *, at: datetime) -> None:
    """Let keys be good no longer."""
    db.execute(update(keys).where(keys.c.id.in_(ids), keys.c.revoked_at.is_(None)).values(revoked_at=at))


def end(db: Connection, caller: str, but: str, *, at: datetime) -> None:
    """Let all keys of a caller but one end by a moment."""
    ours = (keys.c.caller == caller) & (keys.c.id != but) & (keys.c.expires_at > at)
    db.execute(update(keys).where(ours).values(expires_at=at))


def _kept(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
