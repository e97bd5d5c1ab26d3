"""Calendars as iCalendar (RFC 5545, RFC 5546): one wedding a VEVENT.

The lines are cut here, each with its number; what a line says is icalendar's to read. So one bad event costs
one event, and each problem is named with its line.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import vDuration

from workers.foundation.errors import printable
from workers.weddings.formats import zones
from workers.weddings.formats.lines import Component, Line, components, lines
from workers.weddings.formats.rows import COLUMNS, Reading, RowRefused
from workers.weddings.formats.text import CalendarUnreadable
from workers.weddings.rules.calendar import instant

#: What of an event becomes which field. Whatever else an event says is nobody's business here.
FIELDS = {
    "UID": "id",
    "X-WEDOPS-GUESTS": "guest_count",
    "X-WEDOPS-VENUE-TYPE": "venue_type",
    "X-WEDOPS-REGION": "region",
    "X-WEDOPS-SUPPLIERS": "supplier_ids",
    "X-WEDOPS-TIMELINE": "timeline",
    "GEO": "geo",
}
READ = {*FIELDS, "DTSTART", "DTEND", "DURATION", "STATUS", "SEQUENCE", "DTSTAMP"}
#: What makes of one event several, or changes one of several.
REPEATED = ("RRULE", "RDATE", "EXRULE", "EXDATE", "RECURRENCE-ID")
STATUS = {
    "": "",
    "TENTATIVE": "planned",
    "CONFIRMED": "confirmed",
    "CANCELLED": "cancelled",
    "CANCELED": "cancelled",
}
#: What a calendar may be for; a reply or a counter-proposal is no calendar to take.
METHODS = ("", "PUBLISH", "REQUEST", "ADD", "CANCEL")

_STAMP = re.compile(r"(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})(Z?)", re.ASCII)


def read(data: bytes) -> Reading:
    """Read the weddings of an iCalendar file.

    Of a VEVENT: UID, DTSTART, DTEND or DURATION in a zone, STATUS, SEQUENCE; X-WEDOPS-GUESTS, -VENUE-TYPE,
    -REGION, -SUPPLIERS, -TIMELINE. METHOD:CANCEL cancels. Of one UID the highest SEQUENCE counts, then the
    latest DTSTAMP. Raises CalendarUnreadable for what is no calendar, and for one in which no event is.
    """
    content = list(lines(data))
    reading = Reading()
    roots = list(components(content, reading))
    events = [(event, calendar) for calendar in roots for event in _events(calendar)]
    if not events and not reading.refused:
        first = repr(content[0].value[:60]) if content else "nothing"
        found = sorted({part.name for calendar in roots for part in calendar.parts})
        raise CalendarUnreadable(
            cause=f"no event (BEGIN:VEVENT) is in it: it holds {', '.join(found)}"
            if found
            else f"it is no iCalendar: it begins with {first}, not with BEGIN:VCALENDAR"
        )
    for event, calendar in _newest(events, reading):
        _take(reading, event, calendar)
    return reading


def _events(component: Component) -> Iterator[Component]:
    if component.name == "VEVENT":
        yield component
    for part in component.parts if component.name == "VCALENDAR" else ():
        yield from _events(part)


def _where(event: Component) -> str:
    return f"event {printable(event.text('UID')[:100]) or 'without UID'} (line {event.number})"


_Events = list[tuple[Component, Component]]


def _newest(events: _Events, reading: Reading) -> Iterator[tuple[Component, Component]]:
    """Yield the newest revision of each event (RFC 5546, 2.1.5); those of a series are refused one by one."""
    newest: dict[str, tuple[Component, Component]] = {}
    for event, calendar in events:
        uid = event.text("UID")
        before = newest.get(uid)
        if not uid or event.problem or any(event.all(name) for name in REPEATED):
            yield event, calendar
        elif before is None or _revision(event) > _revision(before[0]):
            newest[uid] = event, calendar
        elif _revision(event) == _revision(before[0]):
            yield event, calendar
        if before and uid and _revision(event) != _revision(before[0]):
            older = min(event, before[0], key=_revision)
            reading.notes.append(
                f"{_where(older)}: a newer SEQUENCE or DTSTAMP of this UID is in the file; that one counts"
            )
    yield from newest.values()


def _revision(event: Component) -> tuple[int, str]:
    return _sequence(event), event.text("DTSTAMP")


def _sequence(event: Component) -> int:
    text = event.text("SEQUENCE")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _take(reading: Reading, event: Component, calendar: Component) -> None:
    try:
        row = _row(event, calendar)
    except RowRefused as error:
        reading.refused.append(f"{_where(event)}: {error}")
        return
    reading.notes.extend(_passed_over(event))
    if reading.take(_where(event), row) and event.all("SEQUENCE"):
        reading.sequences[row["id"]] = _sequence(event)


def _passed_over(event: Component) -> Iterator[str]:
    for line in event.lines:
        if line.problem:
            yield f"{_where(event)}: line {line.number} was passed over: {line.problem}"
        elif line.name.startswith("X-WEDOPS-") and line.name not in FIELDS:
            yield (
                f"{_where(event)}: line {line.number}: {line.name} is not read; there are "
                f"{', '.join(sorted(FIELDS)[1:])}"
            )


def _row(event: Component, calendar: Component) -> dict[str, str]:
    _check(event, calendar)
    row = {column: event.text(name) for name, column in FIELDS.items()}
    row |= _times(event)
    status = event.text("STATUS").upper()
    if status not in STATUS:
        raise RowRefused(problem=f"STATUS:{status[:40]} is none of TENTATIVE, CONFIRMED, CANCELLED")
    cancelled = calendar.text("METHOD").upper() == "CANCEL"
    return {name: row.get(name, "") for name in COLUMNS} | {
        "status": "cancelled" if cancelled else STATUS[status]
    }


def _check(event: Component, calendar: Component) -> None:
    """Refuse what stands in the way of taking an event: of its calendar, of its own lines, of a series."""
    if problem := event.problem or _calendar_problem(calendar):
        raise RowRefused(problem=problem)
    _check_lines(event)
    if repeated := next((name for name in REPEATED if event.all(name)), None):
        raise RowRefused(problem=f"{repeated}: a wedding happens once; give each its own event")
    if (text := event.text("SEQUENCE")) and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RowRefused(problem=f"SEQUENCE:{text[:20]} is no whole number")


def _check_lines(event: Component) -> None:
    for line in event.lines:
        if line.problem and (not line.name or line.name in (*READ, *REPEATED)):
            raise RowRefused(problem=f"line {line.number}: {line.problem}")
    for name in READ:
        if len(event.all(name)) > 1:
            numbers = " and ".join(str(line.number) for line in event.all(name))
            raise RowRefused(problem=f"{name} stands more than once (lines {numbers}); keep one")


def _calendar_problem(calendar: Component) -> str:
    if calendar.name != "VCALENDAR":
        return ""
    for line in calendar.lines:
        if line.problem:
            return f"line {line.number} of its calendar: {line.problem}"
    methods = {line.value.strip().upper() for line in calendar.all("METHOD")}
    if unknown := methods - set(METHODS):
        return (
            f"METHOD:{min(unknown)[:40]} of its calendar is none of {', '.join(METHODS[1:])}: it is no "
            "calendar to take in"
        )
    if calendar.text("VERSION").startswith("1"):
        return "its calendar is vCalendar 1.0; export it as iCalendar 2.0"
    what = "there is more than one METHOD" if len(methods) > 1 else _zone_problem(calendar)
    return f"its calendar contradicts itself: {what}" if what else ""


def _zone_problem(calendar: Component) -> str:
    zones_of = (part for part in calendar.parts if part.name == "VTIMEZONE")
    doubled = next((part for part in zones_of if len(part.all("TZID")) != 1), None)
    return f"the VTIMEZONE in line {doubled.number} must have one TZID" if doubled else ""


def _times(event: Component) -> dict[str, str]:
    start, zone = _moment(event, "DTSTART")
    ends, lasts = event.all("DTEND"), event.all("DURATION")
    if ends and lasts:
        raise RowRefused(problem="DTEND and DURATION both stand there; keep one")
    if lasts:
        end = _after(start, zone, lasts[0])
    elif ends:
        end, its_zone = _moment(event, "DTEND")
        if its_zone != zone:
            raise RowRefused(
                problem=f"DTSTART is in {zone} and DTEND in {its_zone}; give both in the venue's zone"
            )
    else:
        raise RowRefused(problem="the end is missing; give DTEND or DURATION")
    return {"start": start.isoformat(), "end": end.isoformat(), "zone": zone}


def _moment(event: Component, name: str) -> tuple[datetime, str]:
    """Return the local time of a property, and its zone."""
    line = next(iter(event.all(name)), None)
    if line is None:
        raise RowRefused(problem=f"{name} is missing")
    value = line.value.strip()
    if line.params.get("VALUE", "").upper() == "DATE" or re.fullmatch(r"\d{8}", value):
        raise RowRefused(problem=f"{name} must be a date with a time; all-day events are no weddings")
    found = _STAMP.fullmatch(value)
    if not found:
        raise RowRefused(
            problem=f"{name}={value[:40]!r} (line {line.number}) is no time; write 20261010T160000"
        )
    if "TZID" not in line.params:
        raise RowRefused(
            problem=f"{name} has no TZID; give the venue's zone, as {name};TZID=America/New_York:…"
        )
    if found[7]:
        raise RowRefused(
            problem=f"{name} says two things: a TZID and, by its Z, UTC; keep the TZID and take out the Z"
        )
    try:
        return datetime(*map(int, found.groups()[:6])), zones.iana(line.params["TZID"])  # type: ignore[arg-type] # noqa: DTZ001 - wall time
    except ValueError:
        raise RowRefused(
            problem=f"{name}={value[:40]!r} (line {line.number}) is no time; write 20261010T160000"
        ) from None


def _after(start: datetime, zone: str, line: Line) -> datetime:
    """Return the local end.

    Days count by the wall clock, hours and minutes by what really passes (RFC 5545, 3.3.6).
    """
    try:
        lasts: timedelta = vDuration.from_ical(line.value.strip())  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, OverflowError):
        raise RowRefused(
            problem=f"DURATION={line.value[:40]!r} (line {line.number}) is no duration; write PT6H"
        ) from None
    if lasts <= timedelta(0):
        raise RowRefused(problem=f"DURATION={line.value[:40]!r} (line {line.number}) must be above 0")
    begins = instant(start + timedelta(days=lasts.days), zone)
    if begins.problem or not begins.at:
        raise RowRefused(problem=begins.problem or "")
    return (
        (begins.at + timedelta(seconds=lasts.seconds))
        .astimezone(UTC)
        .astimezone(ZoneInfo(zone))
        .replace(tzinfo=None)
    )
