"""Days to come on which a forecast meets a limit. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from math import ceil
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from workers.forecasting.rules.forecast import Forecast
from workers.foundation.moments import Moment
from workers.scaling.rules.policy import Policy
from workers.weddings.rules.calendar import EVERYWHERE

Array = NDArray[np.float64]

#: Those who come to a phase come within so long of its beginning.
ARRIVING = timedelta(minutes=15)


class Limit(StrEnum):
    """What may not suffice."""

    INSTANCES = "instances"
    CONNECTIONS = "connections"
    JOINS_PER_SECOND = "joins_per_second"


@dataclass(frozen=True)
class FullDay:
    """A day on which more may be `needed` than the `max` there can be, in 1 of 100 cases at that moment.

    A region's days are its own; those of all regions together are the largest one's. `at` is when most is
    needed, the first time.
    """

    region: str
    day: date
    at: Moment
    limit: Limit
    needed: int
    max: int


def full_days(forecasts: Sequence[Forecast], policy: Policy) -> list[FullDay]:
    """Return the days on which a region's instances, or the plan's limits, may not suffice, by day."""
    carried = policy.connections_per_instance * policy.utilisation
    found: list[FullDay] = []
    for one in forecasts:
        found += _days(one, one.region, Limit.INSTANCES, one.quantiles["p99"] / carried, policy.instances_max)
    if forecasts:
        together, largest = (
            _together(forecasts),
            max(forecasts, key=lambda one: float(one.quantiles["p99"].max(initial=0.0))),
        )
        joins = _joins(largest, together)
        found += _days(largest, EVERYWHERE, Limit.CONNECTIONS, together, policy.plan_connections)
        found += _days(largest, EVERYWHERE, Limit.JOINS_PER_SECOND, joins, policy.plan_joins_per_second)
    return sorted(found, key=lambda one: (one.day, one.region, one.limit))


def _days(
    forecast: Forecast, region: str, limit: Limit, needed: Array, limit_value: int
) -> Iterable[FullDay]:
    worst, zone = dict[date, tuple[float, Moment]](), ZoneInfo(forecast.zone)
    for number in np.flatnonzero(needed > limit_value).tolist() if limit_value else ():
        at = forecast.starts_at + number * forecast.step
        day = at.astimezone(zone).date()
        worst[day] = max(worst.get(day, (0.0, at)), (float(needed[number]), at), key=lambda one: one[0])
    return [
        FullDay(region, day, at, limit, min(ceil(value), 2**31 - 1), limit_value)
        for day, (value, at) in worst.items()
    ]


def _together(forecasts: Sequence[Forecast]) -> Array:
    """Return the 99 % quantile of all regions' sum: they scatter independently."""
    steps = min(len(one.quantiles["p50"]) for one in forecasts)
    median = sum(one.quantiles["p50"][:steps] for one in forecasts)
    above = sum((one.quantiles["p99"] - one.quantiles["p50"])[:steps] ** 2 for one in forecasts)
    found: Array = np.asarray(median + np.sqrt(above))
    return found


def _joins(forecast: Forecast, load: Array) -> Array:
    """Return how many join a second, if everybody who comes to a phase comes within ARRIVING."""
    steps = max(1, round(ARRIVING / forecast.step))
    before = np.concatenate([np.full(steps, load[0]), load[:-steps]])
    found: Array = np.maximum(load - before, 0.0) / ARRIVING.total_seconds()
    return found
