"""Calendars from outside, CSV and iCalendar, into weddings. What can't be taken is named with its line and its remedy."""

from workers.weddings.formats import csv, icalendar
from workers.weddings.formats.rows import Reading
from workers.weddings.formats.text import unmarked

ICALENDAR = (".ics", ".ical", ".icalendar", ".ifb")


def read(name: str, data: bytes) -> Reading:
    """Read a file by its name, or by what it begins with. Raises CalendarUnreadable."""
    begins = unmarked(data[:4096]).lstrip()[:15].upper()
    is_icalendar = name.lower().endswith(ICALENDAR) or begins == b"BEGIN:VCALENDAR"
    return icalendar.read(data) if is_icalendar else csv.read(data)
