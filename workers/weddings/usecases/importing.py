"""Taking a calendar in: rows, then who must know."""

from collections.abc import Sequence
from dataclasses import fields

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import Connection

from workers.app import app
from workers.foundation import database, logs
from workers.foundation.errors import storable
from workers.foundation.moments import Moment
from workers.journal import store as journal
from workers.weddings.formats.events import WeddingChanged
from workers.weddings.formats.rows import Reading
from workers.weddings.formats.text import CalendarUnreadable
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import due
from workers.weddings.store import weddings as store

log = logs.get("weddings")

#: Of one statement.
EVENTS = 1_000

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


def take(reading: Reading, *, by: str = "", now: Moment) -> store.Change:
    """Bring the calendar to what was read, and wake those who depend on it. All of it or nothing is taken."""
    with database.transaction() as db:
        change = bring(db, reading, by=by, now=now)
    if change.written:
        wake(change.written, now=now)
    return change


def bring(db: Connection, reading: Reading, *, by: str, now: Moment) -> store.Change:
    """Do the same and wake nobody, who is to be woken once it is committed."""
    _check(reading)
    change = store.upsert(db, reading.weddings, at=now, sequences=reading.sequences)
    note(db, change, by=by, now=now)
    counts = {
        name: getattr(change, name) for name in ("added", "changed", "unchanged", "version", "outdated")
    }
    log.info("calendar taken", reason="import", refused=len(reading.refused), **counts)
    return change


def note(db: Connection, change: store.Change, *, by: str, now: Moment) -> None:
    """Append to the journal what an upsert changed of which wedding."""
    if (found := change.difference) is None:
        return
    events = [
        WeddingChanged(
            one.id,
            change.version,
            _fields(before := found.before.get(one.id), one),
            before is None,
            storable(by),
        )
        for one in found.new
    ]
    for first in range(0, len(events), EVENTS):
        journal.append(db, events[first : first + EVENTS], at=now)


def _fields(before: Wedding | None, after: Wedding) -> list[str]:
    """Return what of a wedding differs; all that it has, of a new one."""
    names = (one.name for one in fields(Wedding) if one.name != "id")
    return [name for name in names if before is None or getattr(before, name) != getattr(after, name)]


def wake(changed: Sequence[str], *, now: Moment) -> None:
    """Have weddings looked at, and wake who depends on any: the cache first, what it holds is old."""
    try:
        for name in WOKEN:
            app.wake(name)
        due.list_due(changed, at=now)
    except (OperationalError, RedisError) as error:
        # The rows are there: wedding_day.list_due and the others' own schedules find them.
        log.warning("nobody woken", reason="redis", detail=str(error))
