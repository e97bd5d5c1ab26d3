"""The proof that the database takes writes: each process that tells the system's health writes a mark."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import Column, Connection, DateTime, Table, Text, delete, func
from sqlalchemy.dialects.postgresql import insert

from workers.foundation.database import metadata

marks = Table(
    "health",
    metadata,
    Column("process", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
)
_PROCESS = uuid4().hex


def mark(db: Connection) -> None:
    """Write this process's mark, and forget those of processes that are gone."""
    db.execute(delete(marks).where(marks.c.at < func.now() - timedelta(days=1)))
    statement = insert(marks).values(process=_PROCESS, at=func.now())
    db.execute(statement.on_conflict_do_update(index_elements=["process"], set_={"at": func.now()}))
