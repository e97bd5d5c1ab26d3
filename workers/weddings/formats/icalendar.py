"""Calendars as iCalendar (RFC 5545, RFC 5546): one wedding a VEVENT.

The lines are cut here, each with its number; what a line says is icalendar's to read. So one bad event costs one event, and
each problem is told with its line.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import vDuration
from icalendar.parser import Contentline

from workers.foundation.errors import printable
from workers.weddings.formats import zones
from workers.weddings.formats.rows import COLUMNS, Reading, RowRefused
from workers.weddings.formats.text import CalendarUnreadable, unmarked
from workers.weddings.rules import instant

#: What of an event becomes which field. Whatever else an event says is nobody's business here.
FIELDS = {
    "UID": "id",
    "X-WEDOPS-GUESTS": "guest_count",
    "X-WEDOPS-VENUE-TYPE": "venue_type",
    "X-WEDOPS-REGION": "region",
    "X-WEDOPS-SUPPLIERS": "supplier_ids",
    "X-WEDOPS-TIMELINE": "timeline",
}
READ = {*FIELDS, "DTSTART", "DTEND", "DURATION", "STATUS", "SEQUENCE", "DTSTAMP"}
#: What makes of one event several, or changes one of several.
REPEATED = ("RRULE", "RDATE", "EXRULE", "EXDATE", "RECURRENCE-ID")
STATUS = {"": "", "TENTATIVE": "planned", "CONFIRMED": "confirmed", "CANCELLED": "cancelled", "CANCELED": "cancelled"}
#: What a calendar may be for; a reply or a counter-proposal is no calendar to take.
METHODS = ("", "PUBLISH", "REQUEST", "ADD", "CANCEL")

_FOLD = re.compile(rb"(?:\r\n|\r|\n)[ \t]")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_STAMP = re.compile(r"(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})(Z?)", re.ASCII)


@dataclass
class _Line:
    """A content line: its number in the file, its name, parameters and value; `problem` when it can't be read."""

    number: int
    name: str
    value: str = ""
    params: dict[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass
class _Component:
    """What stands between a BEGIN and its END. `problem` says why it can't be taken, when it can't."""

    name: str
    number: int
    lines: list[_Line] = field(default_factory=list)
    parts: list["_Component"] = field(default_factory=list)
    problem: str = ""

    def all(self, name: str) -> list[_Line]:
        return [line for line in self.lines if line.name == name]

    def text(self, name: str) -> str:
        return next((line.value.strip() for line in self.all(name)), "")


def read(data: bytes) -> Reading:
    """Read VEVENTs: UID, DTSTART, DTEND or DURATION in a zone, STATUS, SEQUENCE, and X-WEDOPS-GUESTS, -VENUE-TYPE, -REGION,
    -SUPPLIERS, -TIMELINE. METHOD:CANCEL cancels. Of one UID the highest SEQUENCE counts, then the latest DTSTAMP.

    Raises CalendarUnreadable for what is no calendar, and for one in which no event is.
    """  # fmt: skip
    lines = list(_lines(unmarked(data)))
    reading = Reading()
    roots = list(_components(lines, reading))
    events = [(event, calendar) for calendar in roots for event in _events(calendar)]
    if not events and not reading.refused:
        first = repr(lines[0].value[:60]) if lines else "nothing"
        found = sorted({part.name for calendar in roots for part in calendar.parts})
        raise CalendarUnreadable(
            cause=f"no event (BEGIN:VEVENT) is in it: it holds {', '.join(found)}" if found
            else f"it is no iCalendar: it begins with {first}, not with BEGIN:VCALENDAR"
        )  # fmt: skip
    for event, calendar in _newest(events, reading):
        _take(reading, event, calendar)
    return reading


def _lines(data: bytes) -> Iterator[_Line]:
    """Yield content lines, unfolded before they are decoded: a fold may lie within a character (RFC 5545, 3.1)."""
    number = 1
    for raw in re.split(rb"\r\n|\r|\n", _FOLD.sub(b"\0", data)):
        line = raw.replace(b"\0", b"")
        if line.strip():
            yield _line(number, line)
        number += 1 + raw.count(b"\0")


def _line(number: int, raw: bytes) -> _Line:
    text = raw.decode("utf-8", "backslashreplace")
    found = _NAME.match(text)
    name = found[0].upper() if found and text[found.end() : found.end() + 1] in (":", ";") else ""
    try:
        raw.decode()
        _, params, value = Contentline(text).parts()
        return _Line(number, name, str(value), {key.upper(): _plain(one) for key, one in params.items()})
    except UnicodeDecodeError:
        return _Line(number, name, text, problem="it is not UTF-8; save the file as UTF-8")
    except (ValueError, IndexError, KeyError, TypeError, AttributeError):
        return _Line(number, name, text, problem=f"{text[:60]!r} is no content line (NAME;PARAMETER=…:VALUE)")


def _plain(value: object) -> str:
    return str(value[0] if isinstance(value, list) and value else value)


def _components(lines: Iterable[_Line], reading: Reading) -> Iterator[_Component]:
    """Yield the outermost components; what has no END, or the END of another, can't be taken."""
    within: list[_Component] = []
    for line in lines:
        if line.name == "BEGIN":
            part = _Component(line.value.strip().upper(), line.number)
            within = _room_for(part, within)
            if within:
                within[-1].parts.append(part)
            else:
                yield part
            within.append(part)
        elif line.name == "END":
            _end(within, line, reading)
        elif within:
            within[-1].lines.append(line)
    for part in within:
        part.problem = part.problem or f"the file ends in the middle of this {part.name}: END:{part.name} is missing"
    for part in within[:1]:
        reading.refused.append(f"line {part.number}: {part.problem}; was it cut off on its way?")


def _room_for(part: _Component, within: list[_Component]) -> list[_Component]:
    """Return what a component is part of; what an event or a calendar can't be part of has lost its END."""
    if part.name not in ("VEVENT", "VCALENDAR"):
        return within
    while within and (within[-1].name != "VCALENDAR" or part.name == "VCALENDAR"):
        _lose(within, part.number)
    return within


def _lose(within: list[_Component], line: int) -> _Component:
    """Take out a component whose END is lost: what followed in what it is part of may have been taken for its own."""
    lost = within.pop()
    lost.problem = lost.problem or f"END:{lost.name} is missing before line {line}"
    if within and within[-1].name == "VEVENT":
        within[-1].problem = within[-1].problem or lost.problem
    return lost


def _end(within: list[_Component], line: _Line, reading: Reading) -> None:
    name = line.value.strip().upper()
    if name not in [part.name for part in within]:
        reading.refused.append(f"line {line.number}: END:{name[:40]} without its BEGIN")
        return
    while within[-1].name != name:
        _lose(within, line.number)
    within.pop()


def _events(component: _Component) -> Iterator[_Component]:
    if component.name == "VEVENT":
        yield component
    for part in component.parts if component.name == "VCALENDAR" else ():
        yield from _events(part)


def _where(event: _Component) -> str:
    return f"event {printable(event.text('UID')[:100]) or 'without UID'} (line {event.number})"


_Events = list[tuple[_Component, _Component]]


def _newest(events: _Events, reading: Reading) -> Iterator[tuple[_Component, _Component]]:
    """Yield the newest revision of each event (RFC 5546, 2.1.5); those of a series are refused one by one."""
    newest: dict[str, tuple[_Component, _Component]] = {}
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
            reading.notes.append(f"{_where(older)}: a newer SEQUENCE or DTSTAMP of this UID is in the file; that one counts")
    yield from newest.values()


def _revision(event: _Component) -> tuple[int, str]:
    return _sequence(event), event.text("DTSTAMP")


def _sequence(event: _Component) -> int:
    text = event.text("SEQUENCE")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _take(reading: Reading, event: _Component, calendar: _Component) -> None:
    try:
        row = _row(event, calendar)
    except RowRefused as error:
        reading.refused.append(f"{_where(event)}: {error}")
        return
    reading.notes.extend(_passed_over(event))
    if reading.take(_where(event), row) and event.all("SEQUENCE"):
        reading.sequences[row["id"]] = _sequence(event)


def _passed_over(event: _Component) -> Iterator[str]:
    for line in event.lines:
        if line.problem:
            yield f"{_where(event)}: line {line.number} was passed over: {line.problem}"
        elif line.name.startswith("X-WEDOPS-") and line.name not in FIELDS:
            yield f"{_where(event)}: line {line.number}: {line.name} is not read; there are {', '.join(sorted(FIELDS)[1:])}"


def _row(event: _Component, calendar: _Component) -> dict[str, str]:
    _check(event, calendar)
    row = {column: event.text(name) for name, column in FIELDS.items()}
    row |= _times(event)
    status = event.text("STATUS").upper()
    if status not in STATUS:
        raise RowRefused(problem=f"STATUS:{status[:40]} is none of TENTATIVE, CONFIRMED, CANCELLED")
    cancelled = calendar.text("METHOD").upper() == "CANCEL"
    return {name: row.get(name, "") for name in COLUMNS} | {"status": "cancelled" if cancelled else STATUS[status]}


def _check(event: _Component, calendar: _Component) -> None:
    """Refuse what stands in the way of taking an event: of its calendar, of its own lines, of a series."""
    if problem := event.problem or _calendar_problem(calendar):
        raise RowRefused(problem=problem)
    for line in event.lines:
        if line.problem and (not line.name or line.name in (*READ, *REPEATED)):
            raise RowRefused(problem=f"line {line.number}: {line.problem}")
    for name in READ:
        if len(event.all(name)) > 1:
            numbers = " and ".join(str(line.number) for line in event.all(name))
            raise RowRefused(problem=f"{name} stands more than once (lines {numbers}); keep one")
    if repeated := next((name for name in REPEATED if event.all(name)), None):
        raise RowRefused(problem=f"{repeated}: a wedding happens once; give each its own event")
    if (text := event.text("SEQUENCE")) and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RowRefused(problem=f"SEQUENCE:{text[:20]} is no whole number")


def _calendar_problem(calendar: _Component) -> str:
    if calendar.name != "VCALENDAR":
        return ""
    for line in calendar.lines:
        if line.problem:
            return f"line {line.number} of its calendar: {line.problem}"
    methods = {line.value.strip().upper() for line in calendar.all("METHOD")}
    if unknown := methods - set(METHODS):
        return f"METHOD:{min(unknown)[:40]} of its calendar is none of {', '.join(METHODS[1:])}: it is no calendar to take in"
    if calendar.text("VERSION").startswith("1"):
        return "its calendar is vCalendar 1.0; export it as iCalendar 2.0"
    zones_of = (part for part in calendar.parts if part.name == "VTIMEZONE")
    doubled = next((part for part in zones_of if len(part.all("TZID")) != 1), None)
    if doubled or len(methods) > 1:
        what = f"the VTIMEZONE in line {doubled.number} must have one TZID" if doubled else "there is more than one METHOD"
        return f"its calendar contradicts itself: {what}"
    return ""


def _times(event: _Component) -> dict[str, str]:
    start, zone = _moment(event, "DTSTART")
    ends, lasts = event.all("DTEND"), event.all("DURATION")
    if ends and lasts:
        raise RowRefused(problem="DTEND and DURATION both stand there; keep one")
    if lasts:
        end = _after(start, zone, lasts[0])
    elif ends:
        end, its_zone = _moment(event, "DTEND")
        if its_zone != zone:
            raise RowRefused(problem=f"DTSTART is in {zone} and DTEND in {its_zone}; give both in the venue's zone")
    else:
        raise RowRefused(problem="the end is missing; give DTEND or DURATION")
    return {"start": start.isoformat(), "end": end.isoformat(), "zone": zone}


def _moment(event: _Component, name: str) -> tuple[datetime, str]:
    """Return the local time of a property, and its zone."""
    line = next(iter(event.all(name)), None)
    if line is None:
        raise RowRefused(problem=f"{name} is missing")
    value = line.value.strip()
    if line.params.get("VALUE", "").upper() == "DATE" or re.fullmatch(r"\d{8}", value):
        raise RowRefused(problem=f"{name} must be a date with a time; all-day events are no weddings")
    found = _STAMP.fullmatch(value)
    if not found:
        raise RowRefused(problem=f"{name}={value[:40]!r} (line {line.number}) is no time; write 20261010T160000")
    if "TZID" not in line.params:
        raise RowRefused(problem=f"{name} has no TZID; give the venue's zone, as {name};TZID=America/New_York:…")
    if found[7]:
        raise RowRefused(problem=f"{name} says two things: a TZID and, by its Z, UTC; keep the TZID and take out the Z")
    try:
        return datetime(*map(int, found.groups()[:6])), zones.iana(line.params["TZID"])  # type: ignore[arg-type] # noqa: DTZ001 - wall time
    except ValueError:
        raise RowRefused(problem=f"{name}={value[:40]!r} (line {line.number}) is no time; write 20261010T160000") from None


def _after(start: datetime, zone: str, line: _Line) -> datetime:
    """Return the local end: days count by the wall clock, hours and minutes by what really passes (RFC 5545, 3.3.6)."""
    try:
        lasts: timedelta = vDuration.from_ical(line.value.strip())
    except (ValueError, TypeError, OverflowError):
        raise RowRefused(problem=f"DURATION={line.value[:40]!r} (line {line.number}) is no duration; write PT6H") from None
    begins = instant(start + timedelta(days=lasts.days) if lasts > timedelta(0) else start, zone)
    if begins.problem or not begins.at:
        raise RowRefused(problem=begins.problem or "")
    return (begins.at + timedelta(seconds=lasts.seconds)).astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
