"""Tables by day: a day's partition is made before the day comes, and dropped whole."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection, bindparam, text

from workers.foundation import database


def make(db: Connection, table: str, days: Iterable[date]) -> None:
    """Make the days' partitions that `db` does not see. Names come from code, never from input.

    Each is made in a transaction of its own and attached, which locks out no reader and no writer: whoever
    else wants it waits for that moment, not until the caller's transaction ends.
    """
    have = set(known(db, table))
    for day in days:
        if day not in have:
            with database.transaction() as own:
                _attach(own, table, day)


def _attach(db: Connection, table: str, day: date) -> None:
    # Two tasks may want the same day at the same moment; the lock makes the second one wait and see it.
    db.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": table})
    if day not in known(db, table):
        name, start = _name(table, day), datetime.combine(day, time(), UTC)
        span = f"FROM ('{start.isoformat()}') TO ('{(start + timedelta(days=1)).isoformat()}')"
        db.execute(
            text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING INDEXES)")
        )
        db.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {span}"))


def drop(db: Connection, table: str, days: Iterable[date]) -> None:
    """Drop the days' partitions."""
    for day in days:
        db.execute(text(f"DROP TABLE IF EXISTS {_name(table, day)}"))


def known(db: Connection, table: str) -> list[date]:
    """Return the days that have a partition."""
    children = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:name)")
    names = db.execute(children.bindparams(bindparam("name", table))).scalars()
    return sorted(
        datetime.strptime(name.rpartition("_")[2], "%Y%m%d").replace(tzinfo=UTC).date() for name in names
    )


def _name(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"
