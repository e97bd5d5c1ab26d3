"""Calendars as CSV: one wedding a row."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from workers.foundation.errors import printable
from workers.weddings.formats.rows import COLUMNS, REQUIRED, Reading
from workers.weddings.formats.text import CalendarUnreadable, decoded

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_DIRECTIVE = re.compile(r"sep=(.)\n", re.IGNORECASE)
#: Blanks that str.strip leaves: zero-width ones, and a byte order mark that a tool put into the middle.
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff]")


def read(data: bytes) -> Reading:
    """Read rows of id, start, end, zone, guest_count, venue_type, region[, status, supplier_ids, timeline,
    geo].

    Times are local wall time as 2026-10-10T15:00; supplier ids are separated by `;`; the timeline is a JSON
    object. Names of columns are compared without blanks around them and without case; delimiter (or a first
    line `sep=;`) and encoding are recognised. Raises CalendarUnreadable when the header can't be right, or no
    row is there.
    """
    text, encoding = decoded(data)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    directive = _DIRECTIVE.match(text)
    body = text[directive.end() :] if directive else text
    skipped = 1 if directive else 0
    delimiter = directive[1] if directive else _delimiter(body)
    reading = Reading()
    if encoding != "UTF-8" or delimiter != ",":
        reading.remarks.append(
            f"read as {encoding}, with {DELIMITERS.get(delimiter, repr(delimiter))} between columns"
        )
    rows = _Rows(body, delimiter, skipped)
    names = _names(rows.header, delimiter, reading)
    for line, values in rows:
        _take(reading, line, names, values)
    if not (reading.weddings or reading.refused):
        raise CalendarUnreadable(cause="no row follows the header")
    return reading


class _Rows:
    """The rows of a text that hold anything, each with the number of its first line."""

    def __init__(self, body: str, delimiter: str, skipped: int) -> None:
        self._rows = csv.reader(io.StringIO(body), delimiter=delimiter, strict=True)
        self._skipped = skipped
        self.header = next(self, (0, []))[1]

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        return self

    def __next__(self) -> tuple[int, list[str]]:
        while True:
            line = self._rows.line_num + self._skipped + 1
            try:
                values = next(self._rows)
            except csv.Error as error:
                raise CalendarUnreadable(
                    cause=f"in the row that begins in line {line}: {error}; nothing was taken"
                ) from None
            if any(value.strip() for value in values):
                return line, values


def _delimiter(body: str) -> str:
    """Return what separates the columns of the first line: by it most of our names are found."""
    first = next((line for line in body.split("\n") if line.strip()), "")
    return max(
        DELIMITERS, key=lambda one: (len(set(map(_name, first.split(one))) & set(COLUMNS)), first.count(one))
    )


def _name(text: str) -> str:
    return re.sub(r"[\s-]+", "_", _INVISIBLE.sub("", text).strip().strip('"').strip().casefold())


def _names(header: Sequence[str], delimiter: str, reading: Reading) -> list[str]:
    names = [_name(one) for one in header]
    shown = ", ".join(repr(one) for one in header[:20])[:300] or "nothing"
    between = DELIMITERS.get(delimiter, repr(delimiter))
    if lacking := [name for name in REQUIRED if name not in names]:
        cause = (
            f"column {', '.join(lacking)} is missing; the header, read with {between} between columns, has "
            f"{shown}"
        )
        raise CalendarUnreadable(cause=f"{cause}; it must name {', '.join(REQUIRED)}")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise CalendarUnreadable(
            cause=f"column {', '.join(twice)} stands more than once in the header; keep one of each"
        )
    for name, original in zip(names, header, strict=True):
        if not name or name in COLUMNS:
            continue
        if near := get_close_matches(name, set(COLUMNS) - set(names), 1, 0.75):
            # A cancellation in a column that nobody reads would be a wedding that takes place.
            raise CalendarUnreadable(
                cause=f"column {original!r} is unknown; did you mean {near[0]}? Name it so, or leave it out"
            )
        reading.notes.append(
            f"header: column {original[:40]!r} is not read; the columns are {', '.join(COLUMNS)}"
        )
    return names


def _take(reading: Reading, line: int, names: Sequence[str], values: Sequence[str]) -> None:
    row = {name: _INVISIBLE.sub("", value) for name, value in zip(names, values, strict=False) if name}
    where = f"line {line} ({printable(row.get('id', '').strip()[:80]) or 'no id'})"
    surplus = [value for value in values[len(names) :] if value.strip()]
    surplus += [value for name, value in zip(names, values, strict=False) if not name and value.strip()]
    if surplus:
        remedy = "put a field that holds the delimiter into double quotes"
        reading.refused.append(
            f"{where}: {surplus[0][:40]!r} is in no column: there are {len(names)}; {remedy}"
        )
    elif len(values) < len(names):
        reading.refused.append(
            f"{where}: it has {len(values)} fields, the header {len(names)}; give each, or leave it empty"
        )
    else:
        reading.take(where, row)
