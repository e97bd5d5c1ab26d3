"""What a local day is in a region: a Saturday, a holiday, a day of many weddings. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from statistics import mean

SATURDAY = 5
#: A day has many weddings when it has so many times those of a region's usual day, and so many at least.
MANY, MANY_MIN = 2.0, 10


@dataclass(frozen=True)
class Day:
    """A local day of a region, its weddings, and the holiday that it is, if it is one."""

    region: str
    day: date
    weddings: int
    holiday: str
    has_many: bool

    @property
    def is_big(self) -> bool:
        """Tell whether it is a day that is prepared for, and looked back on."""
        return self.weddings > 0 and (self.day.weekday() == SATURDAY or bool(self.holiday) or self.has_many)

    @property
    def kind(self) -> str:
        """Return in words what it is."""
        found = ["Saturday"] if self.day.weekday() == SATURDAY else []
        found += [self.holiday] if self.holiday else []
        return ", ".join([*found, *(["many weddings"] if self.has_many else [])]) or f"{self.day:%A}"


def days(bookings: Iterable[tuple[str, date, int]], holidays: Mapping[tuple[str, date], str]) -> list[Day]:
    """Return the days on which regions have weddings, by (region, local day, how many).

    What is usual for a region is the mean of its days that have any.
    """
    booked = list(bookings)
    by_region: dict[str, list[int]] = {}
    for region, _, count in booked:
        by_region.setdefault(region, []).append(count)
    usual = {region: mean(counts) for region, counts in by_region.items()}
    return [
        Day(region, day, count, holidays.get((region, day), ""), count >= max(MANY_MIN, MANY * usual[region]))
        for region, day, count in booked
    ]
