"""Tables by day: a day's partition is made before the day comes, and dropped whole."""

from collections.abc import Iterable
from datetime import UTC, date, datetime

from sqlalchemy import Connection, bindparam, text

from workers.foundation import database

_MAKE, _DROP = (text(f"SELECT wedops_{verb}_partition(:table, :day)") for verb in ("make", "drop"))


def make(db: Connection, table: str, days: Iterable[date]) -> None:
    """Make the days' partitions that `db` does not see. Names come from code, never from input.

    Each is made in a transaction of its own and attached, which locks out no reader and no writer: whoever
    else wants it waits for that moment, not until the caller's transaction ends. Only an owner can, so
    functions of the owner's do it (migration 0026).
    """
    have = set(known(db, table))
    for day in days:
        if day not in have:
            with database.transaction() as own:
                own.execute(_MAKE, {"table": table, "day": day})


def drop(db: Connection, table: str, days: Iterable[date]) -> None:
    """Drop the days' partitions."""
    for day in days:
        db.execute(_DROP, {"table": table, "day": day})


def known(db: Connection, table: str) -> list[date]:
    """Return the days that have a partition."""
    children = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:name)")
    names = db.execute(children.bindparams(bindparam("name", table))).scalars()
    return sorted(
        datetime.strptime(name.rpartition("_")[2], "%Y%m%d").replace(tzinfo=UTC).date() for name in names
    )
