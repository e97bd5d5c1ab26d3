"""Reviews of days, as they were written."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import Column, Connection, Date, DateTime, Table, select
from sqlalchemy.dialects.postgresql import JSONB

from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once

reviews = Table(
    "day_reviews",
    metadata,
    Column("day", Date, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("document", JSONB, nullable=False),
    info=expires("at"),
)


def add(db: Connection, day: date, document: Mapping[str, Any], *, at: Moment) -> bool:
    """Keep the review of a day, once; tell whether it is new."""
    return bool(insert_once(db, reviews, [{"day": day, "at": at, "document": document}]))


def days(db: Connection) -> list[date]:
    """Return the days of which a review was written, the newest first."""
    return list(db.execute(select(reviews.c.day).order_by(reviews.c.day.desc())).scalars())


def find(db: Connection, day: date) -> dict[str, Any] | None:
    """Return the review of a day as it was written; None when none was."""
    query = select(reviews.c.document).where(reviews.c.day == day)
    found: dict[str, Any] | None = db.execute(query).scalar_one_or_none()
    return found
