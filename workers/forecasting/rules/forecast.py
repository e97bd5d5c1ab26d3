"""Load per region from the calendar: guests, venue and phase; drawn to what was seen. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from math import sqrt
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from workers.forecasting.rules.shares import HOURS, PHASES, QUANTILES, VENUES, Array, Seen, Shares
from workers.foundation.moments import Moment
from workers.seasons.rules.venues import factor
from workers.weddings.rules.calendar import Phase, Wedding
from workers.weddings.rules.calendar import Policy as Phases


@dataclass(frozen=True)
class Policy:
    """Shares of people connected at a time. They are assumptions until past weddings have taught better ones.

    The last `learn_days` are learned from, a sample each `learn_every`; calibration is evaluated over the
    last `evaluation_days`.
    """

    prefix: ClassVar = "FORECASTING_"
    renamed: ClassVar = {"pull_max": "pull_most", "evaluation_days": "judge_days"}

    step: timedelta = timedelta(minutes=5)
    horizon: timedelta = timedelta(hours=48)
    guest_share: Mapping[Phase, float] = field(
        default_factory=lambda: {
            Phase.SETUP: 0.05,
            Phase.CEREMONY: 0.30,
            Phase.RECEPTION: 0.45,
            Phase.WIND_DOWN: 0.15,
        }
    )
    vendor_share: Mapping[Phase, float] = field(
        default_factory=lambda: {
            Phase.SETUP: 0.80,
            Phase.CEREMONY: 0.60,
            Phase.RECEPTION: 0.70,
            Phase.WIND_DOWN: 0.30,
        }
    )
    couple_and_planner: float = 3.0
    #: Standard deviation of one wedding's load, as a share of it.
    spread: float = 0.35
    #: How far all weddings of a moment are off together, as a share.
    common: float = 0.05
    #: How far what was seen may pull the calendar's figure.
    pull_max: float = 2.0
    pull_from: timedelta = timedelta(minutes=60)
    keep: timedelta = timedelta(days=30)
    learn_days: int = 28
    #: No divisor of an hour: what begins at full and half hours is seen before, at and after it.
    learn_every: timedelta = timedelta(minutes=35)
    evaluation_days: int = 3

    def __post_init__(self) -> None:
        """Refuse steps of nothing and pulls to nowhere."""
        if not timedelta(seconds=1) <= self.step <= timedelta(hours=1) or self.step.microseconds:
            raise ValueError("step must be from 1s to 1h, in whole seconds")
        if not self.step <= self.horizon <= timedelta(days=1000) or self.pull_max < 1:
            raise ValueError("horizon must be from a step to 1000d, and pull_max 1 or more")
        if (
            not (1 <= self.learn_days <= 1000 and 1 <= self.evaluation_days <= 1000)
            or self.learn_every < self.step
        ):
            raise ValueError(
                "learn_days and evaluation_days must be from 1 to 1000, learn_every a step or more"
            )
        for name in ("guest_share", "vendor_share"):
            if not all(0 <= share <= 1 for share in getattr(self, name).values()):
                raise ValueError(f"{name} must be shares from 0 to 1 by phase")
        if not (0 <= self.spread <= 10 and 0 <= self.common <= 10 and 0 <= self.couple_and_planner <= 1000):
            raise ValueError("spread and common must be from 0 to 10, couple_and_planner from 0 to 1000")

    @cached_property
    def assumed(self) -> Shares:
        """Return the shares that are assumed before anything was learned."""
        guests = [
            [self.guest_share.get(phase, 0.0) * factor(venue, phase) for venue in VENUES] for phase in PHASES
        ]
        vendors = [self.vendor_share.get(phase, 0.0) for phase in PHASES]
        return Shares(np.array(guests), np.array(vendors), self.spread, self.common, np.zeros(HOURS))


@dataclass(frozen=True)
class Forecast:
    """Connections of a region by step from `starts_at`: arrays of one length, a value a quantile."""

    region: str
    starts_at: Moment
    step: timedelta
    quantiles: Mapping[str, Array]
    ratio: float = 1.0
    #: Where the region's days are counted.
    zone: str = "UTC"

    def peak(self, start: datetime, end: datetime, quantile: str = "p90") -> float | None:
        """Return the highest value in [start, end]; None where the forecast says nothing about it."""
        values = self.quantiles[quantile]
        first = max(0, int((start - self.starts_at) / self.step))
        last = int((end - self.starts_at) / self.step) + 1
        return float(values[first:last].max()) if first < min(last, len(values)) else None

    def sparser(self, step: timedelta) -> "Forecast":
        """Return it with the first of the steps that make about `step` each."""
        every = max(1, round(step / self.step))
        sparse = {name: values[::every] for name, values in self.quantiles.items()}
        return replace(self, step=every * self.step, quantiles=sparse)


def grid(now: Moment, policy: Policy) -> Moment:
    """Return the step that `now` lies in: forecasts made within it are one and the same."""
    seconds = policy.step.total_seconds()
    return Moment(datetime.fromtimestamp(now.timestamp() // seconds * seconds, tz=now.tzinfo))


def forecast(
    region: str,
    weddings: Sequence[Wedding],
    policy: Policy,
    phases: Phases,
    *,
    starts_at: Moment,
    ratio: float = 1.0,
    shares: Shares | None = None,
    zone: str = "UTC",
    holidays: Collection[date] = (),
) -> Forecast:
    """Return the load of a region's weddings from `starts_at` over the horizon, with learned `shares`.

    Each wedding's load is constant within a phase, so its two edges go into a difference array whose running
    sum is the load: the cost grows with weddings plus steps, not with their product. `zone` is where the
    base's local week is told; `holidays` are Sundays in it.
    """
    known, steps, seconds = (
        shares or policy.assumed,
        int(policy.horizon / policy.step),
        policy.step.total_seconds(),
    )
    mean, squares = np.zeros(steps + 1), np.zeros(steps + 1)
    for phase, begin, end in spans(weddings, phases):
        load = known.present(weddings, phase, policy.couple_and_planner) * ratio
        first, last = (
            np.clip(np.trunc((edge - starts_at.timestamp()) / seconds), 0, steps).astype(np.int64)
            for edge in (begin, end)
        )
        mean += _steps(first, last, load, steps)
        squares += _steps(first, last, load**2, steps)
    hours = hours_of_week(
        starts_at.timestamp() + seconds * np.arange(steps, dtype=np.float64), zone, holidays
    )
    level = np.cumsum(mean)[:steps] + known.base[hours]
    deviation = known.deviation(level, np.maximum(np.cumsum(squares)[:steps], 0.0)) * (level > 0)
    found = {
        name: np.maximum(level + z * deviation, 0.0)
        for name, z in zip(QUANTILES, known.z.tolist(), strict=True)
    }
    return Forecast(region, starts_at, policy.step, found, ratio, zone)


def _steps(first: Any, last: Any, value: Array, steps: int) -> Array:
    """Return what is added at each first step and taken away at each last one."""
    return (np.bincount(first, value, steps + 1) - np.bincount(last, value, steps + 1)).astype(np.float64)


def hours_of_week(moments: Array, zone: str, holidays: Collection[date] = ()) -> NDArray[np.int64]:
    """Return the hour of the local week, 0 for Monday's first, of moments in seconds since 1970.

    A holiday is a Sunday.
    """
    # Clocks differ by quarters of an hour: Kathmandu's are at a quarter to when others strike.
    quarters = np.unique(moments // 900)
    local = [datetime.fromtimestamp(quarter * 900, ZoneInfo(zone)) for quarter in quarters.tolist()]
    numbers = np.array(
        [(6 if at.date() in holidays else at.weekday()) * 24 + at.hour for at in local], np.int64
    )
    found: NDArray[np.int64] = numbers[np.searchsorted(quarters, moments // 900)]
    return found


def participants(wedding: Wedding, phase: Phase, policy: Policy) -> float:
    """Return how many people of a wedding are connected in a phase, on average."""
    return float(
        policy.assumed.present([wedding], phase, policy.couple_and_planner if phase in PHASES else 0.0)[0]
    )


def seen(
    weddings: Sequence[Wedding],
    moments: Array,
    load: Array,
    policy: Policy,
    phases: Phases,
    *,
    zone: str = "UTC",
    holidays: Collection[date] = (),
) -> Seen:
    """Return what was due and what was measured at `moments`, for `shares.learn`.

    Moments are seconds since 1970, ascending.
    """
    samples = len(moments)
    guests, vendors = np.zeros((samples + 1, len(PHASES), len(VENUES))), np.zeros((samples + 1, len(PHASES)))
    hosts, squares = np.zeros(samples + 1), np.zeros(samples + 1)
    for row, (phase, begin, end) in enumerate(spans(weddings, phases)):
        edges = np.searchsorted(moments, begin), np.searchsorted(moments, end)
        expected = policy.assumed.present(weddings, phase, policy.couple_and_planner)
        for number, wedding in enumerate(weddings):
            span, venue = slice(edges[0][number], edges[1][number]), VENUES.index(wedding.venue_type)
            guests[span, row, venue] += wedding.guest_count
            vendors[span, row] += len(wedding.supplier_ids)
            hosts[span] += policy.couple_and_planner
            squares[span] += expected[number] ** 2
    hours = hours_of_week(moments, zone, holidays)
    return Seen(
        guests[:samples],
        vendors[:samples],
        hosts[:samples],
        squares[:samples],
        hours,
        np.asarray(load, float),
    )


def spans(weddings: Sequence[Wedding], phases: Phases) -> list[tuple[Phase, Array, Array]]:
    """Return each phase, and when it begins and ends at each wedding, in seconds since 1970."""
    starts = np.array([wedding.starts_at.timestamp() for wedding in weddings], float)
    ends = np.array([wedding.ends_at.timestamp() for wedding in weddings], float)
    ceremony_ends = np.minimum(starts + phases.ceremony_lasts.total_seconds(), ends)
    return [
        (Phase.SETUP, starts - phases.setup_before.total_seconds(), starts),
        (Phase.CEREMONY, starts, ceremony_ends),
        (Phase.RECEPTION, ceremony_ends, ends),
        (Phase.WIND_DOWN, ends, ends + phases.wind_down_lasts.total_seconds()),
    ]


def pull(expected: Sequence[float], seen: Sequence[float], policy: Policy) -> float:
    """Return by what to multiply the calendar's figure so that it meets what was seen.

    The ratio of sums is drawn to 1 where little was seen: its weight is n / (n + 1) of the square root of the
    people seen, for a count of n has a relative error of 1/sqrt(n).
    """
    total, counted = sum(expected), sum(seen)
    if not total or not seen:
        return 1.0
    weight = sqrt(counted / len(seen)) / (sqrt(counted / len(seen)) + 1.0)
    ratio = 1.0 + weight * (counted / total - 1.0)
    return min(max(ratio, 1.0 / policy.pull_max), policy.pull_max)
