"""Suppliers whose plan has a limit of its own on simultaneous connections."""

from sqlalchemy import Column, Connection, DateTime, Integer, Table, Text, select
from sqlalchemy.dialects.postgresql import insert

from workers.foundation.database import metadata
from workers.foundation.moments import MachineMoment

supplier_limits = Table(
    "supplier_limits",
    metadata,
    Column("supplier_id", Text, primary_key=True),
    # 0: the limit that all have. The row stays, so that a registry that was unavailable hears of it.
    Column("connections", Integer, nullable=False),
    Column("set_at", DateTime(timezone=True), nullable=False),
)


def set_limit(db: Connection, supplier_id: str, connections: int, *, at: MachineMoment) -> None:
    """Remember a supplier's own limit; 0 is the one that all have."""
    row = {"connections": connections, "set_at": at}
    statement = insert(supplier_limits).values(supplier_id=supplier_id, **row)
    db.execute(statement.on_conflict_do_update(index_elements=["supplier_id"], set_=row))


def limits(db: Connection) -> dict[str, int]:
    """Return each supplier's own limit; 0 for those that gave theirs up."""
    rows = db.execute(
        select(supplier_limits.c.supplier_id, supplier_limits.c.connections).order_by(
            supplier_limits.c.supplier_id
        )
    )
    return {row.supplier_id: row.connections for row in rows}
