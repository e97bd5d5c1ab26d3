"""Rows of any calendar, field by field, into weddings."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from workers.foundation.errors import ExpectedError
from workers.weddings.formats import timeline, zones
from workers.weddings.rules.calendar import (
    EVERYWHERE,
    ID,
    ID_REMEDY,
    NAME,
    NAME_REMEDY,
    OPERATIONS,
    SUPPLIER_TYPE,
    Status,
    VenueType,
    Wedding,
    instant,
)

COLUMNS = (
    "id",
    "start",
    "end",
    "zone",
    "guest_count",
    "venue_type",
    "region",
    "status",
    "supplier_ids",
    "timeline",
    "geo",
)
REQUIRED = COLUMNS[:7]
GUESTS_MAX = 100_000
LONGEST = timedelta(days=4)

#: A day and a time of it, in ISO 8601's forms; an offset is refused in words of its own.
_LOCAL = re.compile(r"\d{4}-?\d{2}-?\d{2}[T ]\d{2}:?\d{2}.*", re.ASCII | re.IGNORECASE)
_GEO = re.compile(r"([+-]?\d{1,3}(?:\.\d{1,12})?)\s*[;,]\s*([+-]?\d{1,3}(?:\.\d{1,12})?)", re.ASCII)
_Choice = TypeVar("_Choice", bound=StrEnum)


class RowRefused(ExpectedError):
    """{problem}"""


@dataclass
class Reading:
    """What a calendar held.

    `remarks` say how it was read, `notes` what had to be decided or was passed over, `refused` what was not
    taken and why; each line says where. `sequences` are the revisions of those weddings whose calendar counts
    them (RFC 5545's SEQUENCE).
    """

    weddings: list[Wedding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def take(self, where: str, row: Mapping[str, Any]) -> bool:
        """Add a row, or the reason why it can't be taken; tell whether it was taken."""
        try:
            wedding, notes = _wedding(row)
        except RowRefused as error:
            self.refused.append(f"{where}: {error}")
            return False
        self.weddings.append(wedding)
        self.notes.extend(f"{where}: {note}" for note in notes)
        self.places.setdefault(wedding.id, []).append(where)
        return True

    def twice(self) -> list[str]:
        """Return the ids that stand more than once, and where; which one is meant nobody can tell."""
        counts = Counter(wedding.id for wedding in self.weddings)
        return [" ".join((id, *self.places.get(id, ()))) for id, count in sorted(counts.items()) if count > 1]


def _wedding(row: Mapping[str, Any]) -> tuple[Wedding, list[str]]:
    given = {name: str(row.get(name) or "").strip() for name in COLUMNS}
    if missing := [name for name in REQUIRED if not given[name]]:
        raise RowRefused(problem=f"{', '.join(missing)} is missing")
    start, end, zone = _local("start", given["start"]), _local("end", given["end"]), zones.iana(given["zone"])
    begins, finishes = instant(start, zone), instant(end, zone, end=True)
    for resolution in (begins, finishes):
        if resolution.problem:
            raise RowRefused(problem=resolution.problem)
    if not begins.at or not finishes.at or not timedelta(0) < finishes.at - begins.at <= LONGEST:
        order = f"end={given['end']} must be after start={given['start']}"
        raise RowRefused(problem=f"{order}, by at most {LONGEST.days} days")
    suppliers, duties = _suppliers(given["supplier_ids"], zone)
    wedding = Wedding(
        id=_wedding_id(given["id"]),
        starts_local=start,
        ends_local=end,
        zone=zone,
        starts_at=begins.at,
        ends_at=finishes.at,
        guest_count=_guests(given["guest_count"]),
        venue_type=_choice("venue_type", given["venue_type"], VenueType),
        region=_region(given["region"]),
        status=_choice("status", given["status"] or "confirmed", Status),
        supplier_ids=suppliers,
        duties=duties,
        geo=_geo(given["geo"]),
    )
    moments, left = _timeline(given["timeline"], wedding)
    notes = [resolution.note for resolution in (begins, finishes) if resolution.note]
    return replace(wedding, timeline=moments), notes + left + _about_zone(zone)


def _about_zone(zone: str) -> list[str]:
    remedy = "give the venue's zone, as America/New_York"
    fixed = f"zone={zone!r} is a fixed offset, without summer time; {remedy}"
    return [fixed] if zones.is_fixed(zone) else []


def _local(name: str, text: str) -> datetime:
    remedy = "write local wall time as 2026-10-10T15:00"
    if re.fullmatch(r"\d{4}-?(\d{2}-?\d{2}|W\d{2}(-?\d)?|\d{3})", text, re.ASCII):
        raise RowRefused(
            problem=f"{name}={text[:40]!r} is a date without a time; all-day entries are no weddings: "
            f"{remedy}"
        )
    try:
        moment = datetime.fromisoformat(text) if _LOCAL.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise RowRefused(problem=f"{name}={text[:40]!r} is no time; {remedy}")
    if not 2000 <= moment.year <= 2200:
        raise RowRefused(problem=f"{name}={text!r} is in no year from 2000 to 2200")
    if moment.tzinfo:
        raise RowRefused(
            problem=f"{name}={text!r} has an offset; write local wall time and put the zone into `zone`"
        )
    return moment


def _region(text: str) -> str:
    if text == EVERYWHERE:
        raise RowRefused(problem=f"region={text!r} is what all regions share; give it a name of its own")
    if not NAME.fullmatch(text):
        raise RowRefused(problem=f"region={text[:80]!r}: use {NAME_REMEDY}")
    return text


def _wedding_id(text: str) -> str:
    if text == OPERATIONS:
        raise RowRefused(
            problem=f"id={text!r} is reserved for the permits of operators; give the wedding another one"
        )
    return _id("id", text)


def _id(name: str, text: str) -> str:
    if not ID.fullmatch(text):
        raise RowRefused(problem=f"{name}={text[:80]!r}: use {ID_REMEDY}")
    return text


def _suppliers(text: str, zone: str) -> tuple[tuple[str, ...], dict[str, dict[str, str]]]:
    """Read `id`, `type:id` and `type:id|until`; return the ids, and what is known of each."""
    duties: dict[str, dict[str, str]] = {}
    for one in filter(None, (one.strip() for one in text.split(";"))):
        who, _, until = one.partition("|")
        kind, _, id = who.rpartition(":")
        duties.setdefault(_id("supplier_ids", id.strip()), {}).update(
            _duty(kind.strip(), until.strip(), zone)
        )
    return tuple(duties), {id: duty for id, duty in duties.items() if duty}


def _duty(kind: str, until: str, zone: str) -> dict[str, str]:
    duty = {}
    if kind:
        if not SUPPLIER_TYPE.fullmatch(kind):
            remedy = "write the type as florist:s-12, in small letters, dashes and underscores"
            raise RowRefused(problem=f"supplier_ids={kind[:40]!r} is no type of supplier; {remedy}")
        duty["type"] = kind
    if until:
        local = _local("supplier_ids", until)
        if problem := instant(local, zone, end=True).problem:
            raise RowRefused(problem=f"supplier_ids: {problem}")
        duty["until"] = local.isoformat(timespec="minutes")
    return duty


def _guests(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6 or int(text) > GUESTS_MAX:
        raise RowRefused(problem=f"guest_count={text[:20]!r} must be a whole number from 0 to {GUESTS_MAX}")
    return int(text)


def _geo(text: str) -> str:
    if not text:
        return ""
    found = _GEO.fullmatch(text)
    if found is None or abs(float(found[1])) > 90 or abs(float(found[2])) > 180:
        remedy = "write latitude and longitude in degrees as 40.7128;-74.0060"
        raise RowRefused(problem=f"geo={text[:40]!r} is no place; {remedy}")
    return f"{float(found[1]):.4f};{float(found[2]):.4f}"


def _choice(name: str, text: str, choices: type[_Choice]) -> _Choice:
    try:
        return choices(text.casefold())
    except ValueError:
        raise RowRefused(problem=f"{name}={text[:40]!r} is none of {', '.join(choices)}") from None


def _timeline(text: str, wedding: Wedding) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a row's timeline, and notes of what of it was passed over."""
    try:
        document, left = timeline.legible(timeline.parsed(text or "[]"))
        moments = timeline.document(timeline.taken(document, wedding))
    except timeline.TimelineRefused as error:
        if wedding.status is Status.CANCELLED:
            # What does not take place is not refused for how it would have gone.
            return [], [f"{error}; passed over, for the wedding is cancelled"]
        raise RowRefused(problem=str(error)) from None
    remedy = "write 15:00 or 2026-10-10T15:00"
    return moments, [f"timeline: {name[:40]!r} has no time, and was passed over; {remedy}" for name in left]
