"""The season of a region from bookings with a calendar prior; the kind of day. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from workers.weddings.rules import Wedding


class Season(StrEnum):
    """How busy a region is."""

    PEAK = "peak"
    SHOULDER = "shoulder"
    OFF = "off"


class KindOfDay(StrEnum):
    """What sets the pace of every job."""

    ORDINARY = "ordinary"
    SEASON = "season"
    WEDDING_DAY = "wedding_day"


class Reason(StrEnum):
    """Why a season or a kind of day was decided."""

    CALENDAR = "calendar"
    BOOKINGS = "bookings"
    WEDDING_NEAR = "wedding_near"
    PEAK_SEASON = "peak_season"
    NOTHING_NEAR = "nothing_near"


#: Share of a year's weddings by month, January first, in percent: US industry surveys.
US_MONTHS = (3.0, 3.0, 4.0, 6.0, 8.0, 10.0, 9.0, 9.0, 15.0, 20.0, 8.0, 5.0)
#: The South's autumn lasts longer: its second peak is November and December.
SOUTH_MONTHS = (4.0, 4.0, 7.0, 8.0, 8.0, 7.0, 5.0, 5.0, 10.0, 17.0, 14.0, 11.0)


@dataclass(frozen=True)
class Policy:
    """An index of 1 is the year's mean. `prior_weddings` is how many bookings weigh as much as the calendar prior."""

    peak_from: float = 1.2
    shoulder_from: float = 0.7
    prior_weddings: int = 50
    window: timedelta = timedelta(days=15)
    near_before: timedelta = timedelta(hours=4)
    near_after: timedelta = timedelta(hours=3)
    months: dict[str, tuple[float, ...]] = field(default_factory=lambda: {"us-south": SOUTH_MONTHS})

    def __post_init__(self) -> None:
        """Refuse thresholds that would leave no shoulder."""
        if not 0 < self.shoulder_from < self.peak_from:
            raise ValueError("shoulder_from must be above 0 and below peak_from")

    def prior(self, region: str, day: date) -> float:
        """Return the calendar's index for a region on a day."""
        months = self.months.get(region, US_MONTHS)
        return months[day.month - 1] / (sum(months) / 12)


@dataclass(frozen=True)
class Decision:
    """A season, why, and the index behind it."""

    season: Season
    reason: Reason
    index: float


def decide(region: str, bookings: Iterable[tuple[date, int]], policy: Policy, *, today: date) -> Decision:
    """Return the season of `region` today from weddings by day over the year around it.

    The index is bookings a day in the window over bookings a day in the year, drawn towards the calendar prior with the
    weight of `prior_weddings` bookings: (n·booked + k·prior) / (n + k).
    """
    half_year = timedelta(days=182)
    year = [(day, count) for day, count in bookings if today - half_year <= day <= today + half_year]
    total = sum(count for _, count in year)
    near = sum(count for day, count in year if abs(day - today) <= policy.window)
    window_days, year_days = 2 * policy.window.days + 1, 2 * half_year.days + 1
    booked = (near / window_days) / (total / year_days) if total else 0.0
    index = (total * booked + policy.prior_weddings * policy.prior(region, today)) / (total + policy.prior_weddings)
    reason = Reason.BOOKINGS if total > policy.prior_weddings else Reason.CALENDAR
    if index >= policy.peak_from:
        return Decision(Season.PEAK, reason, index)
    return Decision(Season.SHOULDER if index >= policy.shoulder_from else Season.OFF, reason, index)


def kind_of_day(
    weddings: Iterable[Wedding], seasons: Iterable[Season], policy: Policy, *, now: datetime
) -> tuple[KindOfDay, Reason]:
    """Return the kind of day at `now`: one wedding that is near makes it a wedding day, whatever the weekday."""
    for wedding in weddings:
        if wedding.starts_at - policy.near_before <= now < wedding.ends_at + policy.near_after:
            return KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR
    if Season.PEAK in seasons:
        return KindOfDay.SEASON, Reason.PEAK_SEASON
    return KindOfDay.ORDINARY, Reason.NOTHING_NEAR
