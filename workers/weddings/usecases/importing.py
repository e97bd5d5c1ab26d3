"""Taking a calendar in: rows, then who must know."""

from collections.abc import Sequence

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from workers.app import app
from workers.foundation import database, logs
from workers.foundation.moments import Moment
from workers.weddings.formats.rows import Reading
from workers.weddings.formats.text import CalendarUnreadable
from workers.weddings.store import due
from workers.weddings.store import weddings as store

log = logs.get("weddings")

#: Woken by name, for they are upper rooms; each also runs by its own schedule.
WOKEN = ("caching.forget", "seasons.detect", "forecasting.refresh")


def preview(reading: Reading) -> store.Difference:
    """Return what `take` would do, and do nothing."""
    _check(reading)
    with database.transaction() as db:
        return store.difference(db, reading.weddings, reading.sequences)


def _check(reading: Reading) -> None:
    if twice := reading.twice():
        raise CalendarUnreadable(
            cause=f"id {', '.join(twice[:5])} stands more than once; keep one row each: nothing was taken"
        )


def take(reading: Reading, *, now: Moment) -> store.Change:
    """Bring the calendar to what was read, and wake those who depend on it. All of it or nothing is taken."""
    _check(reading)
    with database.transaction() as db:
        change = store.upsert(db, reading.weddings, at=now, sequences=reading.sequences)
    counts = {name: value for name, value in vars(change).items() if name != "written"}
    log.info("calendar taken", reason="import", refused=len(reading.refused), **counts)
    if change.written:
        wake(change.written, now=now)
    return change


def wake(changed: Sequence[str], *, now: Moment) -> None:
    """Have weddings looked at, and wake who depends on any: the cache first, what it holds is old."""
    try:
        for name in WOKEN:
            app.wake(name)
        due.list_due(changed, at=now)
    except (OperationalError, RedisError) as error:
        # The rows are there: wedding_day.list_due and the others' own schedules find them.
        log.warning("nobody woken", reason="redis", detail=str(error))
