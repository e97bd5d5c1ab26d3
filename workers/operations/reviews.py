"""Reviews that were written: each big day once, two days after."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Date, DateTime, Table, select
from sqlalchemy.dialects.postgresql import JSONB

from workers.foundation import logs
from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.operations import review as reviewing
from workers.seasons import usecases as seasons

log = logs.get("operations")

#: A Saturday is looked back on on Monday; a day that was missed, while it is not older than that.
AFTER, UNTIL = timedelta(days=2), timedelta(days=9)

reviews = Table(
    "day_reviews",
    metadata,
    Column("day", Date, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("document", JSONB, nullable=False),
    info=expires("at"),
)


def write(db: Connection, *, now: Moment) -> list[date]:
    """Write the reviews that are due, each day once, and tell operations; return their days."""
    big = {one.day for one in seasons.days(db, Moment(now - UNTIL), Moment(now - AFTER)) if one.is_big}
    known = set(db.execute(select(reviews.c.day)).scalars())
    due = sorted(day for day in big - known if (now - UNTIL).date() <= day <= (now - AFTER).date())
    for day in due:
        found = reviewing.review(db, day, now=now).plain()
        insert_once(db, reviews, [{"day": day, "at": now, "document": found}])
        notify.publish(db, _message(day, found))
        log.info("day reviewed", day=str(day), weddings=found["weddings"], reason="big_day")
    return due


def _message(day: date, found: dict[str, Any]) -> Notification:
    title = f"{day:%A, %d %b}: {found['weddings']} weddings, {found['affected_in_all']} affected"
    body = f"`wedops review {day}` shows what happened, who was affected, what was forecast and what it cost."
    return Notification(f"review/{day}", title, body, "info")


def find(db: Connection, day: date) -> dict[str, Any] | None:
    """Return the review of a day as it was written; None when none was."""
    found: dict[str, Any] | None = db.execute(
        select(reviews.c.document).where(reviews.c.day == day)
    ).scalar_one_or_none()
    return found


def newest(db: Connection) -> date | None:
    """Return the last day of which a review was written."""
    return db.execute(select(reviews.c.day).order_by(reviews.c.day.desc()).limit(1)).scalar_one_or_none()


def of(db: Connection, day: date, *, now: Moment) -> dict[str, Any]:
    """Return the review of a day, as it was written, or as it looks now. Raises NothingThatDay, NotYet."""
    return find(db, day) or reviewing.review(db, day, now=now).plain()
