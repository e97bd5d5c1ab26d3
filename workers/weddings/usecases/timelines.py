"""Looking at a wedding's timeline, and changing it alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from workers.foundation import database, logs
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.moments import Moment
from workers.journal import store as journal
from workers.weddings.formats import timeline as formats
from workers.weddings.formats.events import TimelineChanged
from workers.weddings.rules import timeline as rules
from workers.weddings.rules.calendar import Wedding
from workers.weddings.rules.timeline import TimelineMoment
from workers.weddings.store import timelines as store
from workers.weddings.store import weddings
from workers.weddings.usecases import importing

log = logs.get("weddings")

#: So many versions are shown.
SHOWN = 50


class TimelineChangedMeanwhile(ExpectedError):
    """the timeline of {wedding_id} is of version {version} by now, not {expected}: look at it, and change
    that"""

    http_status = 412


@dataclass(frozen=True)
class Timeline:
    """A wedding with its moments, in the order in which they can be; and the version that they are from."""

    wedding: Wedding
    version: int
    moments: Sequence[TimelineMoment]

    @property
    def conflicts(self) -> list[str]:
        """Return in words what cannot be as it is planned."""
        return rules.conflicts(self.moments)


def show(wedding_id: str) -> Timeline:
    """Return a wedding's timeline. Raises WeddingUnknown."""
    with database.transaction() as db:
        [wedding] = weddings.require_all(db, [wedding_id])
        newest = store.of(db, wedding_id, limit=1)
    return Timeline(wedding, newest[0].version if newest else 0, rules.in_order(formats.known(wedding)))


def versions(wedding_id: str) -> list[tuple[store.Version, list[TimelineMoment]]]:
    """Return a wedding's timelines, the newest first, as far as they were kept. Raises WeddingUnknown."""
    with database.transaction() as db:
        wedding = weddings.require(db, wedding_id)
        found = store.of(db, wedding_id, limit=SHOWN)
    return [(one, formats.known(replace(wedding, timeline=one.timeline or []))) for one in found]


def change(
    db: Connection, wedding_id: str, document: Any, *, by: str, expected: int | None = None, now: Moment
) -> int:
    """Give a wedding another timeline; return its version: the same where nothing differs.

    Raises WeddingUnknown, TimelineRefused, TimelineChangedMeanwhile where `expected` is another version.
    """
    wedding, version = store.hold(db, wedding_id)
    if expected is not None and expected != version:
        raise TimelineChangedMeanwhile(wedding_id=wedding_id, version=version, expected=expected)
    moments = formats.taken(document, wedding)
    timeline = formats.document(moments)
    if timeline == wedding.timeline:
        return version
    version = store.change(db, wedding, timeline, at=now)
    journal.append(db, [TimelineChanged(wedding_id, version, len(moments), storable(by))], at=now)
    log.info("timeline changed", reason="asked", wedding_id=wedding_id, version=version, by=by)
    return version


def changed(wedding_id: str, *, now: Moment) -> None:
    """Wake who depends on a timeline that was changed, once that is committed."""
    importing.wake([wedding_id], now=now)
