"""The calendar's memory: weddings in PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    any_,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from workers.foundation import claims
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.foundation.rows import PAGE, arriving, pairs, take_place_of
from workers.foundation.rows import upsert as upsert_rows
from workers.weddings.formats import timeline as timelines
from workers.weddings.rules.calendar import Status, VenueType, Wedding
from workers.weddings.store.tables import history, versions, weddings

FACTS = [weddings.c[name] for name in Wedding.__dataclass_fields__]
_VENUES, _STATUSES = {str(one): one for one in VenueType}, {str(one): one for one in Status}


class WeddingUnknown(ExpectedError):
    """wedding_id={wedding_id!r} is not in the calendar; import it first (`wedops weddings import FILE`)"""

    http_status = 404


@dataclass(frozen=True)
class Change:
    """What an upsert did.

    `version` is the calendar's then; `outdated` ones had a newer SEQUENCE; `written` are the ids of what was
    added or changed, `difference` what they were before.
    """

    added: int
    changed: int
    unchanged: int
    version: int
    outdated: int = 0
    written: tuple[str, ...] = ()
    difference: "Difference | None" = None


@dataclass(frozen=True)
class Difference:
    """What taking a calendar in changes.

    `new` are the weddings that are to be written, `before` those of them that are known, as they are;
    `outdated` have a newer SEQUENCE already, `sequences` is the one that each of the calendar has afterwards.
    """

    new: list[Wedding]
    before: dict[str, Wedding]
    outdated: set[str]
    sequences: dict[str, int]

    @property
    def added(self) -> list[Wedding]:
        """Return those that are not known yet."""
        return [one for one in self.new if one.id not in self.before]

    @property
    def changed(self) -> list[tuple[Wedding, Wedding]]:
        """Return (before, after) of those that are known."""
        return [(self.before[one.id], one) for one in self.new if one.id in self.before]


def _rows(db: Connection, ids: list[str], *, hold: bool) -> dict[str, Any]:
    facts = select(*FACTS, weddings.c.digest, weddings.c.sequence, weddings.c.timeline_digest).where(
        among(ids)
    )
    # Locked in one order, so that two imports of the same calendar wait for each other instead of
    # deadlocking.
    query = facts.order_by(weddings.c.id)
    return {row.id: row for row in db.execute(query.with_for_update() if hold else query)}


def difference(
    db: Connection, calendar: Sequence[Wedding], sequences: Mapping[str, int], *, hold: bool = False
) -> Difference:
    """Return what taking a calendar in changes.

    `hold` locks what is known until the end of the transaction.
    """
    rows = _rows(db, [one.id for one in calendar], hold=hold)
    calendar = _carried(calendar, rows)
    known = {id: (row.digest, row.sequence) for id, row in rows.items()}
    after = {one.id: max(sequences.get(one.id, 0), known.get(one.id, ("", 0))[1]) for one in calendar}
    outdated = {id for id, sequence in sequences.items() if sequence < after.get(id, 0)}
    changed = (one for one in calendar if known.get(one.id) != (digest(one), after[one.id]))
    new = [one for one in changed if one.id not in outdated]
    before = facts_of(rows[one.id] for one in new if one.id in rows)
    return Difference(new, {one.id: one for one in before}, outdated, after)


def _carried(calendar: Sequence[Wedding], rows: Mapping[str, Any]) -> list[Wedding]:
    """Return weddings with the timelines that are known, where their calendar brings the same as before."""
    found = []
    for one in calendar:
        row = rows.get(one.id)
        kept = None
        if row is not None and row.timeline_digest == timelines.digest(one):
            kept = timelines.carried(row.timeline, row.starts_local, one)
        # Where it cannot be any more, the calendar's own holds.
        found.append(one if kept is None else replace(one, timeline=kept))
    return found


def _note_brought(db: Connection, digests: Mapping[str, str]) -> None:
    """Note which timeline the calendar brought last, also of weddings in which nothing else changed."""
    own = pairs(digests, "digest")
    differs = weddings.c.timeline_digest.is_distinct_from(own.c.digest)
    statement = weddings.update().values(timeline_digest=own.c.digest)
    db.execute(statement.where(weddings.c.id == own.c.id, differs))


def hold_calendar(db: Connection) -> None:
    """Wait for who else changes the calendar, until the end of the transaction."""
    # One change after the other: versions must come in the order in which they are seen.
    db.execute(text("SELECT pg_advisory_xact_lock(hashtext('wedops calendar'))"))


def upsert(
    db: Connection, calendar: Sequence[Wedding], *, at: Moment, sequences: Mapping[str, int] | None = None
) -> Change:
    """Bring the calendar to `calendar`.

    A wedding that is the same stays untouched, the rest get a new version. `sequences` are the revisions of
    those that have one; a lower one than is known changes nothing.
    """
    hold_calendar(db)
    brought = {one.id: timelines.digest(one) for one in calendar}
    found = difference(db, calendar, sequences or {}, hold=True)
    if found.new:
        common = {"version": db.execute(select(versions.next_value())).scalar_one(), "updated_at": at}
        own = (
            {
                "digest": digest(one),
                "sequence": found.sequences[one.id],
                "timeline_digest": brought[one.id],
            }
            for one in found.new
        )
        write(db, [_row(one) | common | more for one, more in zip(found.new, own, strict=True)])
    _note_brought(db, {id: own for id, own in brought.items() if id not in found.outdated})
    left = len(calendar) - len(found.new) - len(found.outdated)
    written = tuple(one.id for one in found.new)
    counts = len(found.added), len(found.changed), left
    return Change(*counts, version_of(db), len(found.outdated), written, found)


def write(db: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows into the calendar and its history: many by COPY, but for the API: it makes no table."""
    if len(rows) <= PAGE or claims.current():
        upsert_rows(db, weddings, rows)
        dated = (row | {"known_from": row["updated_at"]} for row in rows)
        db.execute(insert(history), [{each.name: row[each.name] for each in history.c} for row in dated])
        return
    with arriving(db, weddings, rows) as arrived:
        take_place_of(db, weddings, arrived)
        known = {
            each.name: arrived.c["updated_at" if each.name == "known_from" else each.name]
            for each in history.c
        }
        db.execute(insert(history).from_select(list(known), select(*known.values())))


def among(ids: list[str], own: ColumnElement[str] = weddings.c.id) -> ColumnElement[bool]:
    """Tell the rows whose id is one of these: an array, for PostgreSQL takes some 65,000 parameters."""
    return own == any_(literal(ids, ARRAY(Text)))


def _row(wedding: Wedding) -> dict[str, Any]:
    return vars(wedding) | {"supplier_ids": list(wedding.supplier_ids)}


def digest(wedding: Wedding) -> str:
    # Without duties, moments and place it is what it was before there were any: an older calendar has not
    # changed.
    facts = {name: value for name, value in _row(wedding).items() if value or name not in ("duties", "geo")}
    facts["timeline"] = facts["timeline"] or {}
    text = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    return blake2b(text, digest_size=16).hexdigest()


def version_of(db: Connection) -> int:
    """Return the calendar's version; 0 when it is empty."""
    return int(db.execute(select(func.coalesce(func.max(weddings.c.version), 0))).scalar_one())


def require(db: Connection, wedding_id: str) -> Wedding:
    """Return the wedding; raises WeddingUnknown."""
    [found] = require_all(db, [wedding_id])
    return found


def require_all(db: Connection, ids: Iterable[str]) -> list[Wedding]:
    """Return the weddings with these ids, by start; raises WeddingUnknown, which names one of the missing."""
    wanted = dict.fromkeys(ids)
    found = by_id(db, wanted) if wanted else []
    if missing := wanted.keys() - {wedding.id for wedding in found}:
        raise WeddingUnknown(wedding_id=min(missing))
    return found


def by_id(db: Connection, ids: Iterable[str]) -> list[Wedding]:
    """Return the weddings with these ids, those that exist, by start."""
    return facts_of(db.execute(select(*FACTS).where(among(list(ids))).order_by(weddings.c.starts_at)))


def between(
    db: Connection, start: datetime, end: datetime, *, limit: int | None = None, region: str | None = None
) -> list[Wedding]:
    """Return weddings that take place and overlap [start, end), of a region or of all, by start."""
    ours = (
        take_place(start, end) if region is None else take_place(start, end) & (weddings.c.region == region)
    )
    return facts_of(db.execute(select(*FACTS).where(ours).order_by(weddings.c.starts_at).limit(limit)))


def take_place(start: datetime, end: datetime) -> ColumnElement[bool]:
    """Tell the weddings that take place and overlap [start, end)."""
    return (
        (weddings.c.starts_at < end) & (weddings.c.ends_at > start) & (weddings.c.status != Status.CANCELLED)
    )


def running(db: Connection, at: Moment) -> list[tuple[str, str, Moment, Moment]]:
    """Return (id, region, start, end) of the weddings that run at a moment."""
    facts = (weddings.c.id, weddings.c.region, weddings.c.starts_at, weddings.c.ends_at)
    now = (weddings.c.starts_at <= at) & (weddings.c.ends_at > at) & (weddings.c.status != Status.CANCELLED)
    return [(row[0], row[1], row[2], row[3]) for row in db.execute(select(*facts).where(now))]


def facts_of(rows: Iterable[Any]) -> list[Wedding]:
    """Return weddings by rows that begin with a wedding's fields in order: by name is five times slower."""
    found = []
    for row in rows:
        # What is known of a version has no timeline, no duties, no place.
        timeline, duties, geo = row[11:14] if len(row) > 13 else ([], {}, "")
        venue, region, status, suppliers = row[7:11]
        kinds = _VENUES[venue], region, _STATUSES[status], tuple(suppliers)
        found.append(Wedding(*(*row[:7], *kinds, timeline, duties or {}, geo)))
    return found
