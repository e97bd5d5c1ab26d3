"""Taking a calendar in: rows, then who must know."""

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from workers.app import app
from workers.foundation import clock, database, logs
from workers.weddings import client, store

log = logs.get("weddings")

#: Woken by name, for they are upper rooms; the first two also run by their own schedule.
WOKEN = ("seasons.detect", "forecasting.refresh")
FORGET = "caching.forget"


def take(reading: client.Reading) -> store.Change:
    """Bring the calendar to what was read, and wake those who depend on it. All of it or nothing is taken."""
    if twice := client.duplicates(reading.weddings):
        raise client.CalendarUnreadable(
            cause=f"id {', '.join(twice[:5])} stands more than once; keep one row each: nothing was taken"
        )
    with database.transaction() as db:
        change = store.upsert(db, reading.weddings, at=clock.now())
    log.info("calendar taken", reason="import", refused=len(reading.refused), **vars(change))
    try:
        store.list_due(reading.weddings, at=clock.now())
        if change.added or change.changed:
            for name in WOKEN:
                app.send_task(name, retry=False)
            ids = [wedding.id for wedding in reading.weddings]
            for first in range(0, len(ids), 1000):
                app.send_task(FORGET, kwargs={"wedding_ids": ids[first : first + 1000]}, retry=False)
    except (OperationalError, RedisError) as error:
        # The rows are there: wedding_day.list_due and the others' own schedules find them.
        log.warning("nobody woken", reason="redis", detail=str(error))
    return change
