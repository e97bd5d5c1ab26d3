"""Rolling up what was measured, making room for what comes, letting go what is old."""

from datetime import timedelta

from sqlalchemy import Connection

from workers.foundation import clock, database, partitions, settings
from workers.foundation.moments import MachineMoment
from workers.measurements.rules import keeping
from workers.measurements.store import events, points, rollups
from workers.retention import usecases as retention

#: A run rolls up no longer than so many seconds, well inside its time limit; the next one goes on.
ENOUGH = 10.0


def roll_up(*, now: MachineMoment) -> int:
    """Roll up what changed and has ended, a page of a span a transaction; return how many pages.

    The next run goes on where this one ends. A span that gets late points is made anew.
    """
    begun, pages = clock.stopwatch(), 0
    while clock.stopwatch() - begun < ENOUGH:
        with database.transaction() as db:
            if not (span := rollups.take(db, before=now - timedelta(seconds=15))):
                break
            rollups.roll_up(db, span)
        pages += 1
    with database.transaction() as db:
        events.sum_hours(db, since=now - timedelta(hours=2))
    return pages


def make_partitions(db: Connection, *, now: MachineMoment) -> None:
    """Make the partitions of today and of the days to come."""
    policy = settings.read(keeping.Policy)
    retention.make_partitions(db, keeping.kept(policy), policy.ahead_days, today=now.date())


def retain(db: Connection, *, now: MachineMoment) -> dict[str, list[str]]:
    """Make partitions ahead, sum up the last days, and drop what is past retention.

    Return what was dropped.
    """
    make_partitions(db, now=now)
    events.sum_hours(db, since=now - timedelta(days=3))
    events.sum_weddings(db, since=now - timedelta(days=3), at=now)
    policy = settings.read(keeping.Policy)
    kept = keeping.kept(policy)
    # Nothing is left of what was silent for longer; a day's roll-up may be late.
    points.forget_series(db, before=now.date() - timedelta(days=max(kept.values()) + 7))
    return retention.drop_partitions(db, kept, today=now.date())


def missing_partitions(db: Connection, *, now: MachineMoment) -> list[str]:
    """Return the tables that lack the partition of today or tomorrow."""
    wanted = {now.date(), now.date() + timedelta(days=1)}
    tables = keeping.kept(settings.read(keeping.Policy))
    return [table for table in sorted(tables) if not wanted <= set(partitions.known(db, table))]
