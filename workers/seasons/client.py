"""Public holidays, from the `holidays` library."""

from datetime import date
from functools import cache
from typing import Any

import holidays


def name(region: str, day: date) -> str:
    """Return a day's public holiday in the country that a region's name begins with (us-west: US); empty when there is none."""
    calendar = _country(region.partition("-")[0].upper())
    return str(calendar.get(day, "")) if calendar is not None else ""


def between(region: str, start: date, end: date) -> frozenset[date]:
    """Return the public holidays of a region in [start, end)."""
    days = map(date.fromordinal, range(start.toordinal(), end.toordinal()))
    return frozenset(day for day in days if name(region, day))


@cache
def _country(code: str) -> Any:
    return holidays.country_holidays(code) if code in holidays.list_supported_countries() else None
