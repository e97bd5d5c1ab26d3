"""Public holidays, from the `holidays` library, of the country that a zone lies in."""

from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import holidays


def name(zone: str, day: date) -> str:
    """Return a day's public holiday in the country of an IANA zone; empty when there is none."""
    calendar = _country(_countries().get(zone, ""))
    return str(calendar.get(day, "")) if calendar is not None else ""


def between(zone: str, start: date, end: date) -> frozenset[date]:
    """Return the public holidays of a zone's country in [start, end)."""
    days = map(date.fromordinal, range(start.toordinal(), end.toordinal()))
    return frozenset(day for day in days if name(zone, day))


@cache
def _countries() -> dict[str, str]:
    """Return the country of each zone; a zone of several countries is the first one's."""
    lines = files("tzdata").joinpath("zoneinfo/zone.tab").read_text().splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {row[2]: row[0] for row in rows}


@cache
def _country(code: str) -> Any:
    return holidays.country_holidays(code) if code in holidays.list_supported_countries() else None
