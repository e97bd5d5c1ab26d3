"""A span of load played through the planner minute by minute, with what could be known then.

How that would have gone. Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import ceil

import numpy as np
from numpy.typing import NDArray

from workers.forecasting.rules.events import BEFORE, DAY, of_wedding
from workers.forecasting.rules.fitting import fit
from workers.forecasting.rules.forecast import Forecast, forecast, grid, pull
from workers.forecasting.rules.forecast import Policy as Forecasting
from workers.forecasting.rules.peak_forecast import PeakForecast
from workers.forecasting.rules.peak_forecast import Policy as PeakPolicy
from workers.forecasting.rules.shares import Shares
from workers.foundation.moments import Moment
from workers.scaling.rules.decision import Reading, decide
from workers.scaling.rules.leads import lead
from workers.scaling.rules.policy import Policy
from workers.weddings.rules.calendar import Policy as Phases
from workers.weddings.rules.calendar import Wedding

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

MINUTE = timedelta(minutes=1)
#: Minutes between two forecasts.
REFRESH = 60


@dataclass(frozen=True)
class Outcome:
    """How a plan did. Shares are percent.

    Of the time short of capacity, of the busiest 5 % of it, of people not served. `worst15` is the worst
    quarter of an hour's share not served. `cost` is what was paid over the cheapest plan that knows all and
    is never short; `saved` what was paid less than for the highest need all the time.
    """

    minutes: int
    short: float
    surge: float
    unserved: float
    worst15: float
    cost: float
    saved: float
    needed: int
    billed_hours: float

    def text(self) -> str:
        """Return it in a line for people."""
        return (
            f"{self.minutes / 1440:.1f} days, up to {self.needed} instances needed: short {self.short:.3f} % "
            "of the time "
            f"({self.surge:.2f} % of the busiest), worst quarter of an hour {self.worst15:.1f} % not served, "
            f"{self.cost:.2f} times the cheapest plan, "
            f"{abs(self.saved):.0f} % {'less' if self.saved >= 0 else 'more'} than the highest need all the "
            "time"
        )


def evaluate(
    load: Array, supply: Counts, billed: float, *, capacity: float, boot: int, minimum: int = 1
) -> Outcome:
    """Return how instances in use (`supply`, one value a minute as `load`) did.

    Metrics after Herbst et al., SPEC RG 2016.
    """
    need = np.maximum(minimum, np.ceil(load / capacity - 1e-9)).astype(np.int64)
    missing, unserved = need > supply, np.maximum(load - supply * capacity, 0.0)
    busiest = need >= max(2.0, float(np.quantile(need, 0.95)))
    quarter = np.ones(min(15, len(load)))
    worst = np.convolve(unserved, quarter, "valid") / np.maximum(np.convolve(load, quarter, "valid"), 1e-9)
    cheapest, static = _cheapest(need, boot), float(need.max()) * len(need)
    return Outcome(
        minutes=len(load),
        short=100 * float(missing.mean()),
        surge=100 * float(missing[busiest].mean()) if busiest.any() else 0.0,
        unserved=100 * float(unserved.sum() / max(load.sum(), 1e-9)),
        worst15=100 * float(worst.max()),
        cost=billed / cheapest,
        saved=100 * (1 - billed / static),
        needed=int(need.max()),
        billed_hours=billed / 60,
    )


def _cheapest(need: Counts, boot: int) -> float:
    """Return the instance-minutes of the cheapest plan that is never short.

    A gap shorter than a boot is kept running.
    """
    total = 0.0
    for level in range(1, int(need.max()) + 1):
        edges = np.flatnonzero(np.diff(np.r_[0, (need >= level).astype(np.int8), 0]))
        begins, ends = edges[::2], edges[1::2]
        total += float(
            (ends - begins).sum()
            + np.minimum(begins[1:] - ends[:-1], boot).sum()
            + (boot if begins[0] > 0 else 0)
        )
    return total


def run(
    wanted: Callable[[int, int], int], first: int, last: int, *, begin: int, boot: int
) -> tuple[Counts, float]:
    """Return the instances in use in minutes [first, last), and the instance-minutes paid.

    `wanted(minute, has)` is asked each minute, `has` counts those that boot too. What is ordered is paid for
    at once and in use `boot` minutes later; what is too many ends at once, what boots first.
    """
    up, booting, supply, billed = begin, list[list[int]](), np.zeros(last - first, np.int64), 0.0
    for minute in range(first, last):
        while booting and booting[0][0] <= minute:
            up += booting.pop(0)[1]
        more = (
            wanted(minute, up + sum(count for _, count in booting)) - up - sum(count for _, count in booting)
        )
        if more > 0:
            booting.append([minute + boot, more])
        while more < 0 and booting:
            fewer = min(-more, booting[-1][1])
            booting[-1][1] -= fewer
            more += fewer
            if not booting[-1][1]:
                booting.pop()
        up += min(more, 0)
        supply[minute - first] = up
        billed += up + sum(count for _, count in booting)
    return supply, billed


@dataclass(frozen=True)
class Given:
    """What else a decision went by: the forecast's margin, the season's floor, orders of people."""

    margin: float = 1.0
    floor: int = 0
    scale_in_suspended: bool = False
    scale_out_suspended: bool = False
    emergency: int = 0


def _nothing(_at: Moment) -> Given:
    return Given()


@dataclass(frozen=True)
class Past:
    """A region's load, one value a minute from `starts_at` on.

    Its calendar as known, and what was given, at a moment.
    """

    region: str
    starts_at: Moment
    load: Array
    known: Callable[[Moment], Sequence[Wedding]]
    shares: Shares | None = None
    zone: str = "UTC"
    given: Callable[[Moment], Given] = _nothing

    def moment(self, minute: int) -> Moment:
        """Return when a minute begins."""
        return self.starts_at + minute * MINUTE


class Planner:
    """What `scaling.decide` does, for one region and a past.

    Forecasts each hour, fits its peak forecast anew each day.
    """

    def __init__(
        self, past: Past, policy: Policy, forecasting: Forecasting, peaks: PeakPolicy, phases: Phases
    ) -> None:
        """Begin with nothing known."""
        self.past, self.policy, self.forecasting, self.peaks, self.phases = (
            past,
            policy,
            forecasting,
            peaks,
            phases,
        )
        self._forecast: Forecast | None = None
        self._peak_forecast: PeakForecast | None = None
        self._refreshed = -REFRESH
        self._changed_at: Moment | None = None
        self._spans: Array = np.zeros((0, 4))
        self._learned_at = 0

    def wanted(self, minute: int, has: int) -> int:
        """Return how many instances the region should have from `minute` on."""
        now = self.past.moment(minute)
        if minute - self._refreshed >= REFRESH:
            self._refresh(minute, now)
        decision = decide(self._reading(minute, now, has), self.policy, now=now)
        if decision.to != has:
            self._changed_at = now
        return decision.to

    def _refresh(self, minute: int, now: Moment) -> None:
        self._refreshed = minute
        weddings = [
            one for one in self.past.known(now) if one.ends_at > now - timedelta(days=self.peaks.days)
        ]
        near = [
            one
            for one in weddings
            if now - timedelta(days=1) < one.ends_at and one.starts_at < now + timedelta(days=3)
        ]
        self._spans = np.array([self._span(one) for one in near]).reshape(-1, 4)
        self._forecast = self._forecasted(near, minute, now)
        if self._peak_forecast is None or self._peak_forecast.stale:
            self._peak_forecast, self._learned_at = self._learned(weddings, minute), minute

    def _span(self, one: Wedding) -> tuple[float, float, float, float]:
        """Return from when until when a wedding counts, its lead and its start, in seconds."""
        ahead = lead(self.policy, one)
        until = one.ends_at + self.policy.linger
        return (
            (one.starts_at - ahead).timestamp(),
            until.timestamp(),
            ahead.total_seconds(),
            one.starts_at.timestamp(),
        )

    def _forecasted(self, near: Sequence[Wedding], minute: int, now: Moment) -> Forecast:
        past = self.past
        hour = min(minute, int(self.forecasting.pull_from / MINUTE))
        since = grid(now - hour * MINUTE, self.forecasting)
        facts = past.region, near, self.forecasting, self.phases
        ahead = partial(forecast, *facts, shares=past.shares, zone=past.zone)
        made = ahead(starts_at=since)
        expected = [made.peak(since + at * MINUTE, since + at * MINUTE, "p50") or 0.0 for at in range(hour)]
        ratio = pull(expected, past.load[minute - hour : minute].tolist(), self.forecasting)
        starts_at = grid(now, self.forecasting)
        return ahead(starts_at=starts_at, ratio=ratio)

    def _learned(self, weddings: Sequence[Wedding], minute: int) -> PeakForecast | None:
        if minute < DAY:
            return None
        load = self.past.load[max(0, minute - self.peaks.days * DAY) : minute]
        start = int(self.past.moment(minute).timestamp()) // 60 - len(load)
        soon = start + len(load) + 2 * DAY + BEFORE
        events = [of_wedding(one) for one in weddings if one.starts_at.timestamp() < soon * 60]
        policy = self.policy
        return PeakForecast(
            fit(load, start, events, boot=policy.boot_minutes, unit=policy.negligible_load, policy=self.peaks)
        )

    def _reading(self, minute: int, now: Moment, has: int) -> Reading:
        if self._peak_forecast and minute > self._learned_at and not self._peak_forecast.stale:
            self._peak_forecast.see(float(self.past.load[minute - 1]))
        at = now.timestamp()
        here = self._spans[(self._spans[:, 0] < at) & (self._spans[:, 1] > at)]
        ahead = max(self.policy.lead, timedelta(seconds=float(here[:, 2].max(initial=0.0))))
        calm, given = max(0, minute - max(1, int(self.policy.shrink_after / MINUTE))), self.past.given(now)
        peak = self._forecast.peak(now, now + ahead) if self._forecast else None
        return Reading(
            region=self.past.region,
            has=has,
            load=float(self.past.load[minute - 1]),
            expected=peak * given.margin if peak is not None else None,
            lately=float(self.past.load[calm:minute].max()),
            upper=self._peak_forecast.now() if self._peak_forecast else None,
            ceremony_ahead=bool((here[:, 3] > at).any()),
            frozen_until=Moment(datetime.fromtimestamp(here[:, 1].max(), now.tzinfo)) if len(here) else None,
            changed_at=self._changed_at,
            floor=given.floor,
            scale_in_suspended=given.scale_in_suspended,
            scale_out_suspended=given.scale_out_suspended,
            emergency=given.emergency,
        )


def replay(planner: Planner, first: int) -> tuple[Outcome, Counts]:
    """Play the past from minute `first` on; return how it would have gone, and the instances in use."""
    past, policy = planner.past, planner.policy
    boot, capacity = policy.boot_minutes, float(policy.connections_per_instance)
    begin = min(
        policy.instances_max,
        max(policy.instances_min, ceil(past.load[first - 1] / capacity / policy.utilisation)),
    )
    supply, billed = run(planner.wanted, first, len(past.load), begin=begin, boot=boot)
    played = past.load[first:]
    return evaluate(
        played, supply, billed, capacity=capacity, boot=boot, minimum=policy.instances_min
    ), supply
