"""Dropping rows of all rooms' tables that say which of theirs have ended (`foundation.database.expires`)."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, Text, delete, literal_column, select
from sqlalchemy.exc import DBAPIError

from workers.foundation import clock, database, logs

log = logs.get("retention")

#: Their `id` is a wedding's.
OF_WEDDINGS = frozenset({"weddings", "wedding_versions"})
#: Rows that one transaction drops: a backlog of years must not hold rows for minutes.
AT_ONCE = 20_000


def drop(*, before: datetime, enough: float) -> tuple[dict[str, int], list[str]]:
    """Drop what had ended before a moment, for some seconds at most.

    Return how many rows of which tables, and where more wait. The tables take turns, so that one with a
    backlog keeps no other waiting.
    """
    begun, dropped = clock.stopwatch(), dict[str, int]()
    waiting, failed = (
        [table for table in database.metadata.sorted_tables if database.EXPIRES in table.info],
        set[str](),
    )
    while waiting and clock.stopwatch() - begun < enough:
        table = waiting.pop(0)
        try:
            rows = _drop(table, before)
        except DBAPIError as error:
            # Somebody holds its rows, or it takes too long: the others go on.
            log.warning("not dropped", table=table.name, reason=type(error).__name__)
            failed.add(table.name)
            continue
        dropped[table.name] = dropped.get(table.name, 0) + rows
        waiting += [table] * (rows == AT_ONCE)
    return {name: rows for name, rows in dropped.items() if rows}, sorted(
        {table.name for table in waiting} | failed
    )


def _drop(table: Table, before: datetime) -> int:
    old = table.alias("old")
    condition: ColumnElement[bool] = table.info[database.EXPIRES](old, before)
    some = select(literal_column("old.ctid", Text)).select_from(old).where(condition).limit(AT_ONCE)
    with database.transaction() as db:
        return db.execute(delete(table).where(literal_column("ctid").in_(some))).rowcount


def forget_wedding(db: Connection, wedding_id: str, *, kept: Collection[str]) -> dict[str, int]:
    """Delete the rows of a wedding from all rooms' tables but some; return how many of which.

    Tables that hang on a deleted row go with it.
    """
    found = {}
    for table in reversed(database.metadata.sorted_tables):
        column = table.c.get("wedding_id", table.c.id if table.name in OF_WEDDINGS else None)
        if column is not None and table.name not in kept:
            found[table.name] = db.execute(delete(table).where(column == wedding_id)).rowcount
    return {name: rows for name, rows in found.items() if rows}


def forget_person(db: Connection, recipients: Collection[str], *, kept: Collection[str]) -> dict[str, int]:
    """Delete the rows that name a person as their recipient, but of some tables; return how many of which."""
    found = {}
    for table in reversed(database.metadata.sorted_tables):
        if "recipient" in table.c and table.name not in kept:
            ours = table.c.recipient.in_(recipients)
            found[table.name] = db.execute(delete(table).where(ours)).rowcount
    return {name: rows for name, rows in found.items() if rows}
