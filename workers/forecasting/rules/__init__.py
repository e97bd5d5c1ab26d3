"""Load per region from the calendar: guests, venue and phase; drawn to what was seen. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from workers.weddings.rules import Phase, VenueType, Wedding
from workers.weddings.rules import Policy as Phases

Array = NDArray[np.float64]

#: Standard normal quantiles: a region's load is a sum over many independent weddings.
Z = {"p50": 0.0, "p90": 1.2816, "p99": 2.3263}


@dataclass(frozen=True)
class Policy:
    """Shares of people connected at a time. They are assumptions until past weddings have taught better ones."""

    step: timedelta = timedelta(minutes=5)
    horizon: timedelta = timedelta(hours=48)
    guest_share: Mapping[Phase, float] = field(
        default_factory=lambda: {Phase.SETUP: 0.05, Phase.CEREMONY: 0.30, Phase.RECEPTION: 0.45, Phase.WIND_DOWN: 0.15}
    )
    vendor_share: Mapping[Phase, float] = field(
        default_factory=lambda: {Phase.SETUP: 0.80, Phase.CEREMONY: 0.60, Phase.RECEPTION: 0.70, Phase.WIND_DOWN: 0.30}
    )
    couple_and_planner: float = 3.0
    #: How well people can connect there: weak signal on a beach, thick walls in a church.
    venue_factor: Mapping[VenueType, float] = field(
        default_factory=lambda: {VenueType.BEACH: 0.85, VenueType.CHURCH: 0.9, VenueType.BANQUET_HALL: 1.05}
    )
    #: Standard deviation of one wedding's load, as a share of it.
    spread: float = 0.35
    #: How far what was seen may pull the calendar's figure.
    pull_most: float = 2.0
    pull_from: timedelta = timedelta(minutes=60)
    keep: timedelta = timedelta(days=30)


@dataclass(frozen=True)
class Forecast:
    """Connections of a region by step from `starts_at`: arrays of one length, a value a quantile."""

    region: str
    starts_at: datetime
    step: timedelta
    quantiles: Mapping[str, Array]
    ratio: float = 1.0

    def peak(self, start: datetime, end: datetime, quantile: str = "p90") -> float | None:
        """Return the highest value in [start, end]; None where the forecast says nothing about it."""
        values = self.quantiles[quantile]
        first = max(0, int((start - self.starts_at) / self.step))
        last = int((end - self.starts_at) / self.step) + 1
        return float(values[first:last].max()) if first < min(last, len(values)) else None


def grid(now: datetime, policy: Policy) -> datetime:
    """Return the step that `now` lies in: forecasts made within it are one and the same."""
    seconds = policy.step.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, tz=now.tzinfo)


def forecast(
    region: str, weddings: Sequence[Wedding], policy: Policy, phases: Phases, *, starts_at: datetime, ratio: float = 1.0
) -> Forecast:
    """Return the load of a region's weddings from `starts_at` over the horizon.

    Each wedding's load is constant within a phase, so its two edges go into a difference array whose running sum is the
    load: the cost grows with weddings plus steps, not with their product.
    """
    steps = int(policy.horizon / policy.step)
    mean, variance = np.zeros(steps + 1), np.zeros(steps + 1)
    for wedding in weddings:
        for phase, begin, end in _spans(wedding, phases):
            load = people(wedding, phase, policy) * ratio
            first, last = (min(max(0, int((edge - starts_at) / policy.step)), steps) for edge in (begin, end))
            for sums, value in ((mean, load), (variance, (policy.spread * load) ** 2)):
                sums[first] += value
                sums[last] -= value
    level, deviation = np.cumsum(mean)[:steps], np.sqrt(np.maximum(np.cumsum(variance)[:steps], 0.0))
    return Forecast(region, starts_at, policy.step, {name: level + z * deviation for name, z in Z.items()}, ratio)


def people(wedding: Wedding, phase: Phase, policy: Policy) -> float:
    """Return how many people of a wedding are connected in a phase, on average."""
    guests = wedding.guest_count * policy.guest_share.get(phase, 0.0)
    vendors = len(wedding.supplier_ids) * policy.vendor_share.get(phase, 0.0)
    hosts = policy.couple_and_planner if phase in policy.guest_share else 0.0
    return (guests + vendors) * policy.venue_factor.get(wedding.venue_type, 1.0) + hosts


def _spans(wedding: Wedding, phases: Phases) -> list[tuple[Phase, datetime, datetime]]:
    ceremony_ends = min(wedding.starts_at + phases.ceremony_lasts, wedding.ends_at)
    return [
        (Phase.SETUP, wedding.starts_at - phases.setup_before, wedding.starts_at),
        (Phase.CEREMONY, wedding.starts_at, ceremony_ends),
        (Phase.RECEPTION, ceremony_ends, wedding.ends_at),
        (Phase.WIND_DOWN, wedding.ends_at, wedding.ends_at + phases.wind_down_lasts),
    ]


def pull(expected: Sequence[float], seen: Sequence[float], policy: Policy) -> float:
    """Return by what to multiply the calendar's figure so that it meets what was seen.

    The ratio of sums is drawn to 1 where little was seen: its weight is n / (n + 1) of the square root of the people seen,
    for a count of n has a relative error of 1/sqrt(n).
    """
    total, counted = sum(expected), sum(seen)
    if not total or not seen:
        return 1.0
    weight = sqrt(counted / len(seen)) / (sqrt(counted / len(seen)) + 1.0)
    ratio = 1.0 + weight * (counted / total - 1.0)
    return min(max(ratio, 1.0 / policy.pull_most), policy.pull_most)
