"""The journal in PostgreSQL: a partition a day of the world's, and how far each reader has read.

Ids are drawn when a row is written, and transactions commit in another order: who read up to an id would skip
what commits later with a lower one. So a row keeps its transaction's number, and a reader goes no farther
than the oldest transaction that is still open: below that, nothing can appear any more.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Index,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.types import UserDefinedType

from workers.foundation import partitions
from workers.foundation.database import metadata
from workers.foundation.moments import Moment
from workers.journal.rules import Entry, Event


class TransactionNumber(UserDefinedType[str]):
    """PostgreSQL's xid8: the number of a transaction, which does not wrap around."""

    cache_ok = True

    def get_col_spec(self, **_options: object) -> str:
        """Return the type's name in SQL."""
        return "xid8"


TABLE = "journal"
#: `LISTEN` here to be woken when something was appended; it says no more than that.
CHANNEL = "wedops_journal"
_IDS = Sequence("journal_id_seq", metadata=metadata)
journal = Table(
    TABLE,
    metadata,
    Column("id", BigInteger, _IDS, nullable=False, server_default=_IDS.next_value()),
    Column("tx", TransactionNumber, nullable=False, server_default=func.pg_current_xact_id()),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("name", Text, nullable=False),
    Column("version", SmallInteger, nullable=False),
    Column("body", JSONB, nullable=False),
    PrimaryKeyConstraint("at", "id"),
    postgresql_partition_by="RANGE (at)",
)
Index("journal_order", journal.c.tx, journal.c.id)

#: Up to where each reader has read: everything up to (tx, id).
cursors = Table(
    "journal_cursors",
    metadata,
    Column("reader", Text, primary_key=True),
    Column("tx", TransactionNumber, nullable=False),
    Column("id", BigInteger, nullable=False),
)


def append(db: Connection, events: Iterable[Event], *, at: Moment) -> None:
    """Append events within the transaction of their effect, and wake the readers once it commits."""
    rows = [{"at": at, "name": one.name, "version": one.version, "body": vars(one)} for one in events]
    if rows:
        partitions.make(db, TABLE, [at.date()])
        db.execute(journal.insert(), rows)
        db.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


_SINCE = text(
    """
    SELECT tx::text::bigint, id, at, name, version, body FROM journal
    WHERE at >= :moment AND name = ANY(:names) ORDER BY at DESC LIMIT :limit
    """
)


def since(db: Connection, moment: datetime, names: Collection[str], *, limit: int) -> list[Entry]:
    """Return the newest events of some names that happened from a moment on, for people."""
    asked = {"moment": moment, "names": list(names), "limit": limit}
    return [Entry(*one) for one in db.execute(_SINCE, asked)]


def begin(db: Connection, reader: str) -> None:
    """Have a reader that is new read from here on."""
    start = {"reader": reader, "tx": text("pg_snapshot_xmin(pg_current_snapshot())"), "id": 0}
    db.execute(insert(cursors).values(start).on_conflict_do_nothing())


_NEXT = text(
    """
    SELECT j.tx::text::bigint, j.id, j.at, j.name, j.version, j.body FROM journal j
    WHERE (j.tx, j.id) > (cast(:tx AS xid8), :id) AND j.tx < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY j.tx, j.id LIMIT :limit
    """
)


def read(db: Connection, reader: str, *, limit: int) -> list[Entry]:
    """Return what a reader has not read, in the order in which it can be known.

    Held until this transaction ends. Nothing while another transaction reads for the same reader.
    """
    query = select(text("tx::text"), cursors.c.id).where(cursors.c.reader == reader)
    row = db.execute(query.with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return []
    return [Entry(*one) for one in db.execute(_NEXT, {"tx": row[0], "id": row[1], "limit": limit})]


def advance(db: Connection, reader: str, entry: Entry) -> None:
    """Remember that a reader has read up to an entry."""
    statement = text("UPDATE journal_cursors SET tx = cast(:tx AS xid8), id = :id WHERE reader = :reader")
    db.execute(statement, {"tx": str(entry.tx), "id": entry.id, "reader": reader})


#: 3 is the lowest number a transaction has: before all that this server writes.
_MOVE_CURSORS = text(
    """
    UPDATE journal_cursors c SET tx = '3', id = coalesce(
        (SELECT min(j.id) - 1 FROM journal j WHERE (j.tx, j.id) > (c.tx, c.id)), c.id)
    WHERE c.tx >= pg_snapshot_xmax(pg_current_snapshot())
        OR EXISTS (SELECT 1 FROM journal j WHERE j.tx >= pg_snapshot_xmax(pg_current_snapshot()))
    """
)
_MOVE_EVENTS = text("UPDATE journal SET tx = '3' WHERE tx >= pg_snapshot_xmax(pg_current_snapshot())")


def settle_in(db: Connection) -> int:
    """Have what was restored from another server be read on; return how many cursors moved.

    Another server numbers its transactions from elsewhere: what has a number that is yet to come here would
    wait for it. Some may be read twice, none is skipped.
    """
    moved = db.execute(_MOVE_CURSORS).rowcount
    db.execute(_MOVE_EVENTS)
    return moved
