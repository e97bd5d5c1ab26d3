"""Calendars from outside: CSV and iCalendar into weddings. A row that can't be taken is named with its remedy."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

import orjson
from icalendar import Calendar

from workers.foundation.errors import Anticipated
from workers.weddings.rules import EVERYWHERE, Status, VenueType, Wedding, instant

COLUMNS = (
    "id", "start", "end", "zone", "guest_count", "venue_type", "region", "status", "supplier_ids", "timeline",
)  # fmt: skip
REQUIRED = COLUMNS[:7]
GUESTS_MOST = 100_000
LONGEST = timedelta(days=4)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
_Choice = TypeVar("_Choice", bound=StrEnum)


class CalendarUnreadable(Anticipated):
    """the calendar can't be read: {cause}"""


class RowRefused(Anticipated):
    """{problem}"""


@dataclass
class Reading:
    """What a calendar held: weddings, what was decided for a doubled hour, and what was refused and why."""

    weddings: list[Wedding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def take(self, where: str, row: Mapping[str, Any]) -> None:
        """Add a row, or the reason why it can't be taken."""
        try:
            wedding, notes = _wedding(row)
        except RowRefused as error:
            self.refused.append(f"{where}: {error}")
        else:
            self.weddings.append(wedding)
            self.notes.extend(f"{where}: {note}" for note in notes)


def read_csv(text: str) -> Reading:
    """Read rows with the columns id, start, end, zone, guest_count, venue_type, region[, status, supplier_ids, timeline].

    Times are local wall time as 2026-10-10T15:00; supplier ids are separated by `;`; the timeline is a JSON object.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if lacking := [name for name in REQUIRED if name not in (rows.fieldnames or ())]:
        raise CalendarUnreadable(cause=f"column {', '.join(lacking)} is missing; the header names {', '.join(COLUMNS)}")
    reading = Reading()
    try:
        for row in rows:
            reading.take(f"line {rows.line_num} ({row.get('id') or 'no id'})", row)
    except csv.Error as error:
        raise CalendarUnreadable(cause=f"after line {rows.line_num}: {error}") from error
    return reading


def read_icalendar(text: str) -> Reading:
    """Read VEVENTs: UID, DTSTART and DTEND with TZID, STATUS, and X-WEDOPS-GUESTS, -VENUE-TYPE, -REGION, -SUPPLIERS."""
    try:
        calendar = Calendar.from_ical(text)
    except ValueError as error:
        raise CalendarUnreadable(cause=str(error)) from error
    reading = Reading()
    for event in calendar.walk("VEVENT"):
        uid = str(event.get("UID", ""))
        try:
            row = _event(event)
        except (RowRefused, ValueError) as error:
            reading.refused.append(f"event {uid or 'without UID'}: {error}")
        else:
            reading.take(f"event {uid or 'without UID'}", row)
    return reading


def _event(event: Any) -> dict[str, Any]:
    times: dict[str, str] = {}
    if "RRULE" in event:
        raise RowRefused(problem="RRULE: a wedding happens once; give each its own event")
    for name, column in (("DTSTART", "start"), ("DTEND", "end")):
        stamp = event.get(name)
        moment = getattr(stamp, "dt", None)
        if not isinstance(moment, datetime):
            raise RowRefused(problem=f"{name} must be a date with a time; all-day events are no weddings")
        if "TZID" not in stamp.params:
            raise RowRefused(problem=f"{name} has no TZID; give the venue's zone, as {name};TZID=America/New_York:…")
        zone = getattr(moment.tzinfo, "key", str(stamp.params["TZID"]))
        if times.get("zone", zone) != zone:
            raise RowRefused(problem=f"DTSTART is in {times['zone']} and DTEND in {zone}; give both in the venue's zone")
        times |= {column: moment.replace(tzinfo=None).isoformat(), "zone": zone}
    status = {"TENTATIVE": "planned", "CANCELLED": "cancelled"}.get(str(event.get("STATUS", "")).upper(), "confirmed")
    return times | {
        "id": str(event.get("UID", "")),
        "guest_count": event.get("X-WEDOPS-GUESTS"),
        "venue_type": event.get("X-WEDOPS-VENUE-TYPE"),
        "region": event.get("X-WEDOPS-REGION"),
        "supplier_ids": event.get("X-WEDOPS-SUPPLIERS", ""),
        "status": status,
    }


def _wedding(row: Mapping[str, Any]) -> tuple[Wedding, list[str]]:
    given = {name: str(row.get(name) or "").strip() for name in COLUMNS}
    if missing := [name for name in REQUIRED if not given[name]]:
        raise RowRefused(problem=f"{', '.join(missing)} is missing")
    start, end = _local("start", given["start"]), _local("end", given["end"])
    begins, finishes = instant(start, given["zone"]), instant(end, given["zone"], end=True)
    for resolution in (begins, finishes):
        if resolution.problem:
            raise RowRefused(problem=resolution.problem)
    if not begins.at or not finishes.at or not timedelta(0) < finishes.at - begins.at <= LONGEST:
        raise RowRefused(problem=f"end={given['end']} must be after start={given['start']}, by at most {LONGEST.days} days")
    wedding = Wedding(
        id=_id("id", given["id"]),
        starts_local=start,
        ends_local=end,
        zone=given["zone"],
        starts_at=begins.at,
        ends_at=finishes.at,
        guest_count=_guests(given["guest_count"]),
        venue_type=_choice("venue_type", given["venue_type"], VenueType),
        region=_region(given["region"]),
        status=_choice("status", given["status"] or "confirmed", Status),
        supplier_ids=tuple(_id("supplier_ids", one.strip()) for one in given["supplier_ids"].split(";") if one.strip()),
        timeline=_timeline(given["timeline"]),
    )
    return wedding, [resolution.note for resolution in (begins, finishes) if resolution.note]


def _local(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RowRefused(problem=f"{name}={text!r} is no time; write local wall time as 2026-10-10T15:00") from None
    if not 2000 <= moment.year <= 2200:
        raise RowRefused(problem=f"{name}={text!r} is in no year from 2000 to 2200")
    if moment.tzinfo:
        raise RowRefused(problem=f"{name}={text!r} has an offset; write local wall time and put the zone into `zone`")
    return moment


def _region(text: str) -> str:
    if text == EVERYWHERE:
        raise RowRefused(problem=f"region={text!r} is what all regions share; give it a name of its own")
    return _id("region", text)


def _id(name: str, text: str) -> str:
    if not _ID.fullmatch(text):
        raise RowRefused(
            problem=f"{name}={text[:80]!r}: use 1-128 letters, digits, dots, colons, at signs, dashes, underscores"
        )
    return text


def _guests(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6 or int(text) > GUESTS_MOST:
        raise RowRefused(problem=f"guest_count={text[:20]!r} must be a whole number from 0 to {GUESTS_MOST}")
    return int(text)


def _choice(name: str, text: str, choices: type[_Choice]) -> _Choice:
    try:
        return choices(text)
    except ValueError:
        raise RowRefused(problem=f"{name}={text[:40]!r} is none of {', '.join(choices)}") from None


def _timeline(text: str) -> dict[str, Any]:
    try:
        timeline = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise RowRefused(problem=f"timeline is no JSON: {error}") from None
    if not isinstance(timeline, dict) or not all(isinstance(value, str | int | float) for value in timeline.values()):
        raise RowRefused(problem="timeline must be a JSON object of times by name")
    if "\\u0000" in text:
        raise RowRefused(problem="timeline holds a NUL character; take it out")
    return timeline


def duplicates(weddings: Iterable[Wedding]) -> list[str]:
    """Return ids that stand more than once in one calendar; which one is meant nobody can tell."""
    seen: set[str] = set()
    return sorted({wedding.id for wedding in weddings if wedding.id in seen or seen.add(wedding.id)})  # type: ignore[func-returns-value]
