"""Having a change of the calendar reach all that is cached."""

from collections.abc import Collection

from sqlalchemy import Connection

from workers.caching import keys
from workers.caching.store import marks, server
from workers.caching.store.layers import layers
from workers.caching.store.local import Key
from workers.caching.usecases import sources
from workers.foundation import clock, database, logs
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import versions, weddings

log = logs.get("caching")

#: So many weddings are taken out at once; a run stops after so many seconds, and the next one goes on.
BATCH, ENOUGH = 200, 15.0


def forget_changed() -> int:
    """Take out what changed since the mark that this server has; return how many weddings.

    The mark stands on the server itself: one that was restored from older data, or was unavailable when
    something changed, is brought up from where it is.
    """
    begun, count = clock.stopwatch(), 0
    version, after = marks.get()
    with database.transaction() as db:
        newest = weddings.version_of(db)
        if version is None or version > newest:
            # It has nothing yet, or lost its mark with what else it had to give up, or the calendar is one
            # that was restored: all of it is suspect.
            marks.reset(newest)
            return 0
        while clock.stopwatch() - begun < ENOUGH:
            changed = versions.changed_after(db, version, limit=BATCH, after=after)
            if not changed:
                break
            _take_out(db, changed)
            version, after = changed[-1]
            marks.put(version, after)
            count += len(changed)
    return count


def clear() -> None:
    """Have nothing cached any more, here and in all processes."""
    with database.transaction() as db:
        marks.reset(weddings.version_of(db))


def entries_of(db: Connection, wedding: Wedding) -> set[Key]:
    """Return the entries that a wedding is in."""
    ever = versions.suppliers_ever(db, [wedding.id])
    return set(sources.names_of(wedding, ever.get(wedding.id, ())))


def _take_out(db: Connection, changed: list[tuple[int, str]]) -> None:
    by_version: dict[int, list[str]] = {}
    for version, wedding_id in changed:
        by_version.setdefault(version, []).append(wedding_id)
    found = {wedding.id: wedding for wedding in weddings.by_id(db, [id for _, id in changed])}
    ever = versions.suppliers_ever(db, found)
    for version, ids in by_version.items():
        names = {name for id in ids if id in found for name in sources.names_of(found[id], ever.get(id, ()))}
        invalidate(names, version)


def invalidate(entries: Collection[Key], revision: int) -> None:
    """Take entries out that are older than a revision, here at once and in all processes within moments."""
    layers().local.drop(entries, revision)
    server.invalidate([keys.name(*key) for key in entries], revision)
