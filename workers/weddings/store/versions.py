"""The calendar as it was known at a moment."""

from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import distinct_on

from workers.foundation.moments import Moment
from workers.weddings.rules import Status, Wedding
from workers.weddings.store.weddings import facts_of, history

_KNOWN = [history.c[name] for name in Wedding.__dataclass_fields__ if name not in ("timeline", "duties")]


def as_known(db: Connection, at: Moment, start: datetime, end: datetime) -> list[Wedding]:
    """Return weddings that overlap [start, end) as the calendar had them at a moment.

    That is not yet moved, not yet cancelled.
    """
    newest = (
        select(*_KNOWN)
        .where(history.c.known_from <= at)
        .ext(distinct_on(history.c.id))
        .order_by(history.c.id, history.c.version.desc())
        .subquery()
    )
    overlap = (newest.c.starts_at < end) & (newest.c.ends_at > start) & (newest.c.status != Status.CANCELLED)
    return facts_of(db.execute(select(newest).where(overlap).order_by(newest.c.starts_at)))
