"""Taking a calendar in: rows, then who must know."""

from collections.abc import Collection

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from workers.app import app
from workers.foundation import database, logs
from workers.foundation.moments import Moment
from workers.weddings.formats.rows import Reading
from workers.weddings.formats.text import CalendarUnreadable
from workers.weddings.rules import Wedding
from workers.weddings.store import due
from workers.weddings.store import weddings as store

log = logs.get("weddings")

#: Woken by name, for they are upper rooms; the first two also run by their own schedule.
WOKEN = ("seasons.detect", "forecasting.refresh")
FORGET = "caching.forget"


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
        # An older copy of an event must not bring back the hour, or the wedding, that it had then.
        current = (
            store.by_id(db, [wedding.id for wedding in reading.weddings])
            if change.outdated
            else reading.weddings
        )
    log.info("calendar taken", reason="import", refused=len(reading.refused), **vars(change))
    _tell(current, changed=bool(change.added or change.changed), now=now)
    return change


def _tell(current: Collection[Wedding], *, changed: bool, now: Moment) -> None:
    """Have the weddings looked at, and wake who depends on a calendar that changed."""
    ids = [wedding.id for wedding in current]
    try:
        due.list_due(ids, at=now)
        for name in WOKEN if changed else ():
            app.wake(name)
        for first in range(0, len(ids) if changed else 0, 1000):
            app.send_task(FORGET, kwargs={"wedding_ids": ids[first : first + 1000]}, retry=False)
    except (OperationalError, RedisError) as error:
        # The rows are there: wedding_day.list_due and the others' own schedules find them.
        log.warning("nobody woken", reason="redis", detail=str(error))
