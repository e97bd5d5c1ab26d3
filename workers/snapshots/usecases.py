"""Making room for snapshots, noting what they say of days, letting go what is old.

They live in the world's time.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from workers.foundation import settings
from workers.foundation.moments import Moment
from workers.retention import usecases as retention
from workers.seasons import store as seasons
from workers.snapshots import store
from workers.snapshots.rules import Policy


def make_partitions(db: Connection, *, now: Moment) -> None:
    """Make the partitions of today and of the days to come."""
    retention.make_partitions(db, [store.TABLE], settings.read(Policy).ahead_days, today=now.date())


def retain(db: Connection, *, now: Moment) -> list[str]:
    """Make the partitions of the days to come, note the last days' loads, and drop old days; return those."""
    make_partitions(db, now=now)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for ago in (3, 2, 1):
        past = midnight - timedelta(days=ago)
        seasons.note_loads(db, store.highest(db, past, past + timedelta(days=1)), day=past.date())
    return retention.drop_partitions(db, {store.TABLE: settings.read(Policy).keep_days}, today=now.date())[
        store.TABLE
    ]


def round_trips(db: Connection, region: str, start: datetime, end: datetime) -> list[tuple[datetime, float]]:
    """Return (at, 95th percentile of the round trips in ms) of a region in [start, end)."""
    return store.round_trips(db, region, start, end)


def history(db: Connection, start: datetime, end: datetime) -> list[tuple[str, datetime, int]]:
    """Return (region, at, connections) in [start, end)."""
    return store.history(db, start, end)
