"""The season of a region from bookings with a calendar prior; the kind of day. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from math import isfinite
from typing import ClassVar

from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import Wedding


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
    LOAD = "load"
    WEDDING_NEAR = "wedding_near"
    PEAK_SEASON = "peak_season"
    NOTHING_NEAR = "nothing_near"
    HELD_LIVE = "held_live"


#: Share of a year's weddings by month, January first, in percent: US industry surveys.
US_MONTHS = (3.0, 3.0, 4.0, 6.0, 8.0, 10.0, 9.0, 9.0, 15.0, 20.0, 8.0, 5.0)
#: The South's autumn lasts longer: its second peak is November and December.
SOUTH_MONTHS = (4.0, 4.0, 7.0, 8.0, 8.0, 7.0, 5.0, 5.0, 10.0, 17.0, 14.0, 11.0)


@dataclass(frozen=True)
class Policy:
    """An index of 1 is the year's mean.

    `prior_weddings` is how many bookings weigh as much as the calendar prior. A year of observed load weighs
    as much as `load_weddings` bookings. A season is left when the index is `hysteresis` beyond the threshold,
    so that it does not change twice a week.
    """

    prefix: ClassVar = "SEASONS_"
    also: ClassVar = {"wedding_days": "WEDDING_DAY_MONITORING"}

    peak_from: float = 1.2
    shoulder_from: float = 0.7
    prior_weddings: int = 50
    load_weddings: int = 50
    hysteresis: float = 0.05
    near_before: timedelta = timedelta(hours=4)
    near_after: timedelta = timedelta(hours=3)
    #: Off, no day is a wedding day: jobs keep the season's pace.
    wedding_days: bool = True
    #: Each region's weddings by month, January first, in any unit; the others have the country's.
    months: dict[str, tuple[float, ...]] = field(default_factory=lambda: {"us-south": SOUTH_MONTHS})

    def __post_init__(self) -> None:
        """Refuse thresholds that would leave no shoulder."""
        if not 0 < self.shoulder_from < self.peak_from:
            raise ValueError("shoulder_from must be above 0 and below peak_from")
        for region, months in self.months.items():
            if len(months) != 12 or not all(isfinite(one) and one >= 0 for one in months) or not sum(months):
                raise ValueError(
                    f"months of {region} must be 12 figures of 0 or more, January first, not all of them 0"
                )

    def prior(self, region: str, day: date) -> float:
        """Return the calendar's index for a region on a day."""
        months = self.months.get(region, US_MONTHS)
        return months[day.month - 1] / (sum(months) / 12)

    def season(self, index: float, before: Season | None = None) -> Season:
        """Return the season of an index, `before` unless it is clearly left."""
        slack = {Season.PEAK: (-self.hysteresis, 0.0), Season.SHOULDER: (self.hysteresis, -self.hysteresis)}
        slack[Season.OFF] = (0.0, self.hysteresis)
        peak, shoulder = slack[before] if before else (0.0, 0.0)
        if index >= self.peak_from + peak:
            return Season.PEAK
        return Season.SHOULDER if index >= self.shoulder_from + shoulder else Season.OFF


@dataclass(frozen=True)
class Decision:
    """A season, why, and the index behind it."""

    season: Season
    reason: Reason
    index: float


def kind_of_day(
    weddings: Iterable[Wedding],
    seasons: Iterable[Season],
    policy: Policy,
    *,
    now: Moment,
    held: bool = False,
) -> tuple[KindOfDay, Reason]:
    """Return the kind of day at `now`.

    One wedding that is near, or `held` live by hand, makes it a wedding day, whatever the weekday.
    """
    if held:
        return KindOfDay.WEDDING_DAY, Reason.HELD_LIVE
    for wedding in weddings if policy.wedding_days else ():
        if wedding.starts_at - policy.near_before <= now < wedding.ends_at + policy.near_after:
            return KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR
    if Season.PEAK in seasons:
        return KindOfDay.SEASON, Reason.PEAK_SEASON
    return KindOfDay.ORDINARY, Reason.NOTHING_NEAR
