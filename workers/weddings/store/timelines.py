"""Timelines that are changed alone, and as they were in each version of a wedding."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from workers.foundation.moments import Moment
from workers.weddings.formats import timeline as formats
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings as store
from workers.weddings.store.tables import history, versions, weddings


@dataclass(frozen=True)
class Version:
    """A timeline as it was kept, from a version of the calendar on; None where that was not kept yet."""

    version: int
    known_from: Moment
    timeline: Any


def hold(db: Connection, wedding_id: str) -> tuple[Wedding, int]:
    """Return a wedding and the version of its timeline; nobody else changes it now. Raises WeddingUnknown."""
    store.hold_calendar(db)
    wedding = store.require(db, wedding_id)
    newest = of(db, wedding_id, limit=1)
    return wedding, newest[0].version if newest else 0


def change(db: Connection, before: Wedding, timeline: list[dict[str, Any]], *, at: Moment) -> int:
    """Keep a wedding that was held, with another timeline; return the version of that."""
    version = int(db.execute(select(versions.next_value())).scalar_one())
    row = db.execute(select(weddings).where(weddings.c.id == before.id)).mappings().one()
    # What the calendar brought is not known of rows that an earlier version wrote: what it had until now.
    brought = row["timeline_digest"] or formats.digest(before)
    after = replace(before, timeline=timeline)
    facts = {"timeline": timeline, "digest": store.digest(after), "version": version}
    own = {str(name): value for name, value in row.items()}
    store.write(db, [own | facts | {"timeline_digest": brought, "updated_at": at}])
    return version


def of(db: Connection, wedding_id: str, *, limit: int) -> list[Version]:
    """Return the versions of a wedding's timeline that differ from the one before, the newest first."""
    query = (
        select(history.c.version, history.c.known_from, history.c.timeline)
        .where(history.c.id == wedding_id)
        .order_by(history.c.version.desc())
    )
    rows = [Version(*row) for row in db.execute(query)]
    found = [
        one
        for one, before in zip(rows, [*rows[1:], None], strict=True)
        if before is None or before.timeline != one.timeline
    ]
    return found[:limit]
