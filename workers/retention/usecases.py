"""What has ended goes: rows of all rooms, and partitions by day, which are made ahead as well."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from sqlalchemy import Connection

from workers.foundation import partitions, settings
from workers.foundation.moments import MachineMoment, Moment
from workers.retention import rules, store


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


def forget(*, now: Moment, machine: MachineMoment, seconds: float) -> tuple[dict[str, int], list[str]]:
    """Drop what has been over for long, for some seconds at most.

    Return how many rows of which tables, and where more wait. Some rows have the world's time, some the
    machine's: they differ in a demo, and what is young by either stays.
    """
    before = min(now, machine) - timedelta(days=settings.read(rules.Policy).keep_days)
    return store.drop(before=before, enough=seconds)
