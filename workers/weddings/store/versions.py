"""The calendar's versions: as it was known at a moment, what changed since one, what each wedding is from."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Text, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import Status, Wedding
from workers.weddings.rules.listing import Asked
from workers.weddings.store.tables import history, weddings
from workers.weddings.store.weddings import FACTS, among, facts_of, take_place

_KNOWN = [
    history.c[name] for name in Wedding.__dataclass_fields__ if name not in ("timeline", "duties", "geo")
]


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


def with_versions(db: Connection, ids: Iterable[str]) -> dict[str, tuple[Wedding, int]]:
    """Return weddings, those that exist, each with the calendar's version that it is from."""
    rows = db.execute(select(*FACTS, weddings.c.version).where(among(list(ids)))).all()
    found = facts_of(row[:-1] for row in rows)
    return {wedding.id: (wedding, row[-1]) for wedding, row in zip(found, rows, strict=True)}


class Near(NamedTuple):
    """A wedding's version, and when it starts."""

    version: int
    starts_at: Moment


def between(db: Connection, start: datetime, end: datetime) -> dict[str, Near]:
    """Return the weddings that take place and overlap [start, end), by id."""
    query = select(weddings.c.id, weddings.c.version, weddings.c.starts_at).where(take_place(start, end))
    return {row[0]: Near(row[1], row[2]) for row in db.execute(query)}


def of_suppliers(db: Connection, suppliers: Iterable[str], start: datetime, end: datetime) -> list[Wedding]:
    """Return the weddings that overlap [start, end) and at which one of these works, by start."""
    theirs = weddings.c.supplier_ids.overlap(literal(list(suppliers), ARRAY(Text)))
    query = select(*FACTS).where(theirs & take_place(start, end)).order_by(weddings.c.starts_at)
    return facts_of(db.execute(query))


def changed_after(db: Connection, version: int, *, limit: int, after: str = "") -> list[tuple[int, str]]:
    """Return (version, id) of weddings that changed after a version, in this order.

    `after` goes on behind a wedding of the version that follows it. Imports come one after the other, so none
    is seen late.
    """
    place = (weddings.c.version > version) | ((weddings.c.version == version) & (weddings.c.id > after))
    order = (weddings.c.version, weddings.c.id)
    query = select(*order).where(place if after else weddings.c.version > version)
    return [(row[0], row[1]) for row in db.execute(query.order_by(*order).limit(limit))]


def suppliers_ever(db: Connection, ids: Iterable[str]) -> dict[str, list[str]]:
    """Return who works, or ever worked, at weddings."""
    one = func.unnest(history.c.supplier_ids).label("one")
    rows = db.execute(select(history.c.id, one).distinct().where(among(list(ids), history.c.id)))
    found: dict[str, list[str]] = {}
    for wedding_id, supplier_id in rows:
        found.setdefault(wedding_id, []).append(supplier_id)
    return found


def page(
    db: Connection, asked: Asked, *, after: tuple[datetime, str] | None, limit: int
) -> list[tuple[Wedding, int]]:
    """Return weddings by start and id, from behind a place on, each with the version that it is from."""
    table = weddings.c
    query = select(*FACTS, table.version).where(table.starts_at < asked.end, table.ends_at > asked.start)
    query = query.where(table.region == asked.region) if asked.region else query
    query = query.where(table.status == asked.status) if asked.status else query
    query = query.where(table.supplier_ids.contains([asked.supplier_id])) if asked.supplier_id else query
    query = query.where(tuple_(table.starts_at, table.id) > after) if after else query
    rows = db.execute(query.order_by(table.starts_at, table.id).limit(limit)).all()
    return list(zip(facts_of(row[:-1] for row in rows), (row[-1] for row in rows), strict=True))
