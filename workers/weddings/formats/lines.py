"""Content lines and components of iCalendar (RFC 5545, 3.1 and 3.6).

Each has its line number and what is wrong with it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from icalendar.parser import Contentline

from workers.weddings.formats.rows import Reading

_FOLD = re.compile(rb"(?:\r\n|\r|\n)[ \t]")
_NAME = re.compile(r"[A-Za-z0-9-]+")


@dataclass
class Line:
    """A content line: its number in the file, its name, parameters and value.

    `problem` when it can't be read.
    """

    number: int
    name: str
    value: str = ""
    params: dict[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass
class Component:
    """What stands between a BEGIN and its END. `problem` says why it can't be taken, when it can't."""

    name: str
    number: int
    lines: list[Line] = field(default_factory=list)
    parts: list["Component"] = field(default_factory=list)
    problem: str = ""

    def all(self, name: str) -> list[Line]:
        """Return its lines of a name."""
        return [line for line in self.lines if line.name == name]

    def text(self, name: str) -> str:
        """Return the value of its first line of a name, or nothing."""
        return next((line.value.strip() for line in self.all(name)), "")


def lines(data: bytes) -> Iterator[Line]:
    """Yield content lines, unfolded before they are decoded.

    A fold may lie within a character (RFC 5545, 3.1).
    """
    number = 1
    for raw in re.split(rb"\r\n|\r|\n", _FOLD.sub(b"\0", data)):
        line = raw.replace(b"\0", b"")
        if line.strip():
            yield _line(number, line)
        number += 1 + raw.count(b"\0")


def _line(number: int, raw: bytes) -> Line:
    text = raw.decode("utf-8", "backslashreplace")
    found = _NAME.match(text)
    name = found[0].upper() if found and text[found.end() : found.end() + 1] in (":", ";") else ""
    try:
        raw.decode()
        _, params, value = Contentline(text).parts()  # type: ignore[no-untyped-call]
        return Line(number, name, str(value), {key.upper(): _plain(one) for key, one in params.items()})
    except UnicodeDecodeError:
        return Line(number, name, text, problem="it is not UTF-8; save the file as UTF-8")
    except (ValueError, IndexError, KeyError, TypeError, AttributeError):
        return Line(number, name, text, problem=f"{text[:60]!r} is no content line (NAME;PARAMETER=…:VALUE)")


def _plain(value: object) -> str:
    return str(value[0] if isinstance(value, list) and value else value)


def components(content: Iterable[Line], reading: Reading) -> Iterator[Component]:
    """Yield the outermost components; what has no END, or the END of another, can't be taken."""
    within: list[Component] = []
    for line in content:
        if line.name == "BEGIN":
            part = Component(line.value.strip().upper(), line.number)
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
        part.problem = (
            part.problem or f"the file ends in the middle of this {part.name}: END:{part.name} is missing"
        )
    for part in within[:1]:
        reading.refused.append(f"line {part.number}: {part.problem}; was it cut off on its way?")


def _room_for(part: Component, within: list[Component]) -> list[Component]:
    """Return what a component is part of; what an event or a calendar can't be part of has lost its END."""
    if part.name not in ("VEVENT", "VCALENDAR"):
        return within
    while within and (within[-1].name != "VCALENDAR" or part.name == "VCALENDAR"):
        _lose(within, part.number)
    return within


def _lose(within: list[Component], line: int) -> Component:
    """Take out a component whose END is lost.

    What followed in what it is part of may have been taken for its own.
    """
    lost = within.pop()
    lost.problem = lost.problem or f"END:{lost.name} is missing before line {line}"
    if within and within[-1].name == "VEVENT":
        within[-1].problem = within[-1].problem or lost.problem
    return lost


def _end(within: list[Component], line: Line, reading: Reading) -> None:
    name = line.value.strip().upper()
    if name not in [part.name for part in within]:
        reading.refused.append(f"line {line.number}: END:{name[:40]} without its BEGIN")
        return
    while within[-1].name != name:
        _lose(within, line.number)
    within.pop()
