"""Reviews of big days: each is written once, two days after."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection

from workers.foundation import logs
from workers.foundation.moments import Moment
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.operations import store
from workers.operations.review import review
from workers.seasons import usecases as seasons

log = logs.get("operations")

#: A Saturday is looked back on on Monday; a day that was missed, while it is not older than that.
AFTER, UNTIL = timedelta(days=2), timedelta(days=9)


def write(db: Connection, *, now: Moment) -> list[date]:
    """Write the reviews that are due, each day once, and tell operations; return their days."""
    first, last = Moment(now - UNTIL), Moment(now - AFTER)
    big = {one.day for one in seasons.days(db, first, last) if one.is_big}
    due = sorted(day for day in big - {*store.days(db)} if first.date() <= day <= last.date())
    for day in due:
        found = review(db, day, now=now).plain()
        if store.add(db, day, found, at=now):
            notify.publish(db, _message(day, found))
            log.info("day reviewed", day=str(day), weddings=found["weddings"], reason="big_day")
    return due


def _message(day: date, found: Mapping[str, Any]) -> Notification:
    title = f"{day:%A, %d %b}: {found['weddings']} weddings, {found['affected_in_all']} affected"
    body = f"`wedops review {day}` shows what happened, who was affected, what was forecast and what it cost."
    return Notification(f"review/{day}", title, body, "info")


def newest(db: Connection) -> date | None:
    """Return the last day of which a review was written."""
    return next(iter(store.days(db)), None)


def of(db: Connection, day: date, *, now: Moment) -> Mapping[str, Any]:
    """Return the review of a day, as it was written, or as it looks now. Raises NothingThatDay, NotYet."""
    return store.find(db, day) or review(db, day, now=now).plain()
