"""Tables by day: a day's partition is made before the day comes, and dropped whole."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection, bindparam, text


def make(db: Connection, table: str, days: Iterable[date]) -> None:
    """Make the days' partitions that do not exist. Names come from code, never from input."""
    have = set(known(db, table))
    for day in days:
        if day not in have:
            start = datetime.combine(day, time(), UTC)
            span = f"FROM ('{start.isoformat()}') TO ('{(start + timedelta(days=1)).isoformat()}')"
            # Two tasks may want the same day at the same moment; the lock makes the second one wait and see
            # it.
            db.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": table})
            db.execute(
                text(f"CREATE TABLE IF NOT EXISTS {_name(table, day)} PARTITION OF {table} FOR VALUES {span}")
            )


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
