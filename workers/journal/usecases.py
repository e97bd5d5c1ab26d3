"""Reading what happened, and keeping it for a while."""

from collections.abc import Callable

from sqlalchemy import Connection

from workers.foundation import clock, database, settings
from workers.foundation.moments import Moment
from workers.journal import store
from workers.journal.rules import Entry, Policy
from workers.retention import usecases as retention

#: Events that one transaction hands to a reader.
AT_ONCE = 500

#: What a reader does with events, in the transaction that moves its cursor.
Handle = Callable[[Connection, list[Entry]], None]


def read(reader: str, handle: Handle, *, seconds: float = 10.0) -> int:
    """Hand a reader what it has not read, for some seconds at most.

    Return how many events. A reader that is new begins here. What `handle` writes commits with the cursor, so
    that each event has its effect once.
    """
    begun, count = clock.stopwatch(), 0
    while (found := _read_some(reader, handle)) and clock.stopwatch() - begun < seconds:
        count += found
    return count + found


def _read_some(reader: str, handle: Handle) -> int:
    with database.transaction() as db:
        store.begin(db, reader)
        entries = store.read(db, reader, limit=AT_ONCE)
        if entries:
            handle(db, entries)
            store.advance(db, reader, entries[-1])
    return len(entries)


def make_partitions(db: Connection, *, now: Moment) -> None:
    """Make the partitions of today and of the days to come."""
    retention.make_partitions(db, [store.TABLE], settings.read(Policy).ahead_days, today=now.date())


def retain(db: Connection, *, now: Moment) -> list[str]:
    """Make the partitions of the days to come and drop old days; return those."""
    make_partitions(db, now=now)
    return retention.drop_partitions(db, {store.TABLE: settings.read(Policy).keep_days}, today=now.date())[
        store.TABLE
    ]
