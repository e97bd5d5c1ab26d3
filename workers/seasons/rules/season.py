"""The season of a region from bookings with a calendar prior; the kind of day. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from math import isfinite
from typing import ClassVar

from workers.foundation.moments import Moment
from workers.seasons.rules.changes import levels
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
    LOAD = "load"
    WEDDING_NEAR = "wedding_near"
    PEAK_SEASON = "peak_season"
    NOTHING_NEAR = "nothing_near"


#: Share of a year's weddings by month, January first, in percent: US industry surveys.
US_MONTHS = (3.0, 3.0, 4.0, 6.0, 8.0, 10.0, 9.0, 9.0, 15.0, 20.0, 8.0, 5.0)
#: The South's autumn lasts longer: its second peak is November and December.
SOUTH_MONTHS = (4.0, 4.0, 7.0, 8.0, 8.0, 7.0, 5.0, 5.0, 10.0, 17.0, 14.0, 11.0)


#: More weddings a week than this say no more about its level.
_ENOUGH = 30.0


@dataclass(frozen=True)
class Policy:
    """An index of 1 is the year's mean. `prior_weddings` is how many bookings weigh as much as the calendar prior.

    A year of observed load weighs as much as `load_weddings` bookings. A season is left when the index is `hysteresis` beyond
    the threshold, so that it does not change twice a week.
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
                raise ValueError(f"months of {region} must be 12 figures of 0 or more, January first, not all of them 0")

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


def decide(
    region: str,
    bookings: Iterable[tuple[date, int]],
    policy: Policy,
    *,
    today: date,
    loads: Sequence[tuple[date, float]] = (),
    before: Season | None = None,
) -> Decision:
    """Return the season of `region` today from weddings by day over the year around it, and its load by day over the past one.

    The index is bookings a week at today's level (workers/seasons/rules/changes.py) over bookings a week in the year, drawn
    towards the calendar prior with the weight of `prior_weddings` bookings: (n·booked + m·loaded + k·prior) / (n + m + k).
    """
    half_year, today = timedelta(days=182), _monday(today)
    year = {day: float(count) for day, count in bookings if today - half_year <= day < today + half_year}
    # Whole weeks: this one's first days are no week.
    past = {day: load for day, load in loads if today - 2 * half_year <= day < today}
    total = sum(year.values())
    weight = policy.load_weddings * min(1.0, (today - min(past)) / (2 * half_year)) if past else 0.0
    booked = _level(year, today - half_year, today + half_year - timedelta(days=1), region, policy, today)
    last = today - timedelta(days=1)
    loaded = _level(past, _monday(min(past, default=last)), last, region, policy, last)
    known = total + weight + policy.prior_weddings
    index = (total * booked + weight * loaded + policy.prior_weddings * policy.prior(region, today)) / known
    seen = Reason.BOOKINGS if total >= weight else Reason.LOAD
    return Decision(policy.season(index, before), seen if total + weight > policy.prior_weddings else Reason.CALENDAR, index)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _level(by_day: Mapping[date, float], first: date, last: date, region: str, policy: Policy, today: date) -> float:
    """Return the level that `today` lies in over the mean of all weeks from `first` to `last`; 0 without any."""
    weeks = (last - first).days // 7 + 1
    counts, mean = [0.0] * weeks, sum(by_day.values()) / weeks
    if not mean:
        return 0.0
    for day, value in by_day.items():
        # A level is one of shares, not of people: thousands a week scatter by as much of them as dozens do.
        counts[(day - first).days // 7] += value / mean * min(mean, _ENOUGH)
    starts = [policy.season(policy.prior(region, first + timedelta(days=7 * week))) for week in range(weeks)]
    cuts = [week for week in range(1, weeks) if starts[week] is not starts[week - 1]]
    now = (today - first).days // 7
    span = next(span for span in levels(counts, cuts) if span.start <= now < span.stop)
    level: float = sum(counts[span]) / (span.stop - span.start) / min(mean, _ENOUGH)
    return level


def kind_of_day(
    weddings: Iterable[Wedding], seasons: Iterable[Season], policy: Policy, *, now: Moment
) -> tuple[KindOfDay, Reason]:
    """Return the kind of day at `now`: one wedding that is near makes it a wedding day, whatever the weekday."""
    for wedding in weddings if policy.wedding_days else ():
        if wedding.starts_at - policy.near_before <= now < wedding.ends_at + policy.near_after:
            return KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR
    if Season.PEAK in seasons:
        return KindOfDay.SEASON, Reason.PEAK_SEASON
    return KindOfDay.ORDINARY, Reason.NOTHING_NEAR
