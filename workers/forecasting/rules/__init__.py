"""Load per region from the calendar: guests, venue and phase; drawn to what was seen. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import sqrt
from typing import Any

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
    steps, seconds = int(policy.horizon / policy.step), policy.step.total_seconds()
    mean, variance = np.zeros(steps + 1), np.zeros(steps + 1)
    guests = np.array([wedding.guest_count for wedding in weddings], float)
    vendors = np.array([len(wedding.supplier_ids) for wedding in weddings], float)
    factor = np.array([policy.venue_factor.get(wedding.venue_type, 1.0) for wedding in weddings], float)
    for phase, begin, end in _spans(weddings, phases):
        load = _present(guests, vendors, factor, phase, policy) * ratio
        first, last = (
            np.clip(np.trunc((edge - starts_at.timestamp()) / seconds), 0, steps).astype(np.int64) for edge in (begin, end)
        )
        mean += _steps(first, last, load, steps)
        variance += _steps(first, last, (policy.spread * load) ** 2, steps)
    level, deviation = np.cumsum(mean)[:steps], np.sqrt(np.maximum(np.cumsum(variance)[:steps], 0.0))
    return Forecast(region, starts_at, policy.step, {name: level + z * deviation for name, z in Z.items()}, ratio)


def _steps(first: Any, last: Any, value: Array, steps: int) -> Array:
    """Return what is added at each first step and taken away at each last one."""
    return (np.bincount(first, value, steps + 1) - np.bincount(last, value, steps + 1)).astype(np.float64)


def people(wedding: Wedding, phase: Phase, policy: Policy) -> float:
    """Return how many people of a wedding are connected in a phase, on average."""
    guests, vendors = np.array(float(wedding.guest_count)), np.array(float(len(wedding.supplier_ids)))
    factor = np.array(policy.venue_factor.get(wedding.venue_type, 1.0))
    return float(_present(guests, vendors, factor, phase, policy))


def _present(guests: Array, vendors: Array, factor: Array, phase: Phase, policy: Policy) -> Array:
    hosts = policy.couple_and_planner if phase in policy.guest_share else 0.0
    shares = policy.guest_share.get(phase, 0.0), policy.vendor_share.get(phase, 0.0)
    return (guests * shares[0] + vendors * shares[1]) * factor + hosts


def _spans(weddings: Sequence[Wedding], phases: Phases) -> list[tuple[Phase, Array, Array]]:
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

    The ratio of sums is drawn to 1 where little was seen: its weight is n / (n + 1) of the square root of the people seen,
    for a count of n has a relative error of 1/sqrt(n).
    """
    total, counted = sum(expected), sum(seen)
    if not total or not seen:
        return 1.0
    weight = sqrt(counted / len(seen)) / (sqrt(counted / len(seen)) + 1.0)
    ratio = 1.0 + weight * (counted / total - 1.0)
    return min(max(ratio, 1.0 / policy.pull_most), policy.pull_most)
