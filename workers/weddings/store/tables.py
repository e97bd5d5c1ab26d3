"""The tables of the calendar."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    FromClause,
    Index,
    Integer,
    Table,
    Text,
    exists,
)
from sqlalchemy import Sequence as Counter
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from workers.foundation.database import expires, metadata

versions = Counter("calendar_versions", metadata=metadata)

weddings = Table(
    "weddings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("starts_local", DateTime, nullable=False),
    Column("ends_local", DateTime, nullable=False),
    Column("zone", Text, nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False, index=True),
    Column("ends_at", DateTime(timezone=True), nullable=False, index=True),
    Column("guest_count", Integer, nullable=False),
    Column("venue_type", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("supplier_ids", ARRAY(Text), nullable=False),
    Column("timeline", JSONB, nullable=False),
    Column("digest", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    # The highest SEQUENCE that an iCalendar had of it: an older copy of the file must not undo a newer one.
    Column("sequence", BigInteger, nullable=False, server_default="0"),
    # What the version before wrote has none.
    Column("duties", JSONB),
    Column("geo", Text, nullable=False, server_default=""),
    # Of the timeline that the calendar brought last; what was changed here since stays until another comes.
    Column("timeline_digest", Text),
)
Index("weddings_by_region", weddings.c.region)
Index("weddings_by_version", weddings.c.version)
Index("weddings_by_supplier", weddings.c.supplier_ids, postgresql_using="gin")

#: What of a wedding is not kept of each version, or otherwise.
_NOT_KEPT = frozenset(
    {"id", "timeline", "duties", "geo", "digest", "version", "updated_at", "sequence", "timeline_digest"}
)


def _superseded(table: FromClause, before: datetime) -> ColumnElement[bool]:
    """Tell the versions that another one had followed by then.

    The calendar of since then needs none of them.
    """
    newer = history.alias("newer")
    return exists().where(
        newer.c.id == table.c.id, newer.c.version > table.c.version, newer.c.known_from < before
    )


#: Each version of each wedding, and since when it was known: the calendar as it was at any moment.
history = Table(
    "wedding_versions",
    metadata,
    *(
        Column(column.name, column.type, nullable=False, index=column.index)
        for column in weddings.c
        if column.name not in _NOT_KEPT
    ),
    # What the version before wrote has none.
    Column("timeline", JSONB),
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("known_from", DateTime(timezone=True), nullable=False),
    info=expires(_superseded),
)
