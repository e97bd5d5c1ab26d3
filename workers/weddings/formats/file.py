"""A file that holds a calendar, by its name or by what it begins with."""

from workers.weddings.formats import csv, icalendar
from workers.weddings.formats.rows import Reading
from workers.weddings.formats.text import unmarked

ICALENDAR = (".ics", ".ical", ".icalendar", ".ifb")


def read(name: str, data: bytes) -> Reading:
    """Read a calendar; raises CalendarUnreadable."""
    plain = unmarked(data)
    is_icalendar = name.lower().endswith(ICALENDAR) or plain[:100].lstrip().upper().startswith(
        b"BEGIN:VCALENDAR"
    )
    return icalendar.read(plain) if is_icalendar else csv.read(plain)
