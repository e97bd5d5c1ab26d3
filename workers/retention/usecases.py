"""Partitions by day: made ahead, and dropped when they are old."""

from collections.abc import Iterable, Mapping
from datetime import date

from sqlalchemy import Connection

from workers.foundation import partitions
from workers.retention import rules


def make_partitions(db: Connection, tables: Iterable[str], ahead_days: int, *, today: date) -> None:
    """Make the partitions of today and of so many days to come."""
    for table in tables:
        partitions.make(db, table, rules.partitions(ahead_days, today=today))


def drop_partitions(db: Connection, keep_days: Mapping[str, int], *, today: date) -> dict[str, list[str]]:
    """Drop the partitions of days that are older than each table keeps; return them by table."""
    dropped = {}
    for table, days in keep_days.items():
        old = rules.outdated(partitions.known(db, table), days, today=today)
        partitions.drop(db, table, old)
        dropped[table] = [day.isoformat() for day in old]
    return dropped
