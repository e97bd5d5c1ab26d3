"""How high a load may climb before more capacity can be there: an upper quantile of its maximum over the next minutes. Pure.

A linear quantile regression (Koenker and Bassett 1978) of the logarithm of the climb on what the expectation says will come,
how far the load is from it, its slopes and its unrest; fitted on what was seen, the newer the more. A promise that was broken
raises those after it by as much, and that fades.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from workers.forecasting.rules.events import DAY, Array, Event, expect

#: Slopes over so many minutes are looked at.
_SLOPES = (1, 5, 15, 60)
_ITERATIONS, _RIDGE = 25, 1e-3


@dataclass(frozen=True)
class Policy:
    """What the outlook promises: the load stays below it `quantile` of the time.

    `days` of the past are learned from, one minute in `every`, with the weight halved each `half_life`. An event that is the
    first of its kind may multiply the load by `unknown`; a broken promise is remembered with the half life `surprise`. Times
    are minutes.
    """

    quantile: float = 0.995
    days: int = 35
    half_life: int = 7 * DAY
    unknown: float = 2.0
    surprise: float = 120.0
    every: int = 3

    def __post_init__(self) -> None:
        """Refuse what no sample could show."""
        if not 0.5 <= self.quantile < 1:
            raise ValueError("quantile must be from 0.5 to below 1")
        if self.days < 1 or self.every < 1 or self.half_life < 1 or not 0 < self.surprise <= DAY:
            raise ValueError("days, every and half_life must be above 0, surprise above 0 and a day at most")
        if not 1 <= self.unknown <= 100:
            raise ValueError("unknown must be from 1 to 100")


class Outlook:
    """Fitted on a load up to now; good for the day that follows. `see` is called for each minute of it."""

    def __init__(
        self, load: Array, start: int, events: Iterable[Event], *, boot: int, unit: float, policy: Policy | None = None
    ) -> None:
        """Learn from `load`, one value a minute from minute `start` on.

        `boot` is the minutes until capacity that is ordered now can be used; `unit` a load that is next to nothing, as half of
        what an instance carries: below it, relative changes mean little. Raises ValueError for a load that is none.
        """
        if len(load) < 2 or not np.isfinite(load).all() or (load < 0).any():
            raise ValueError("load must be two or more finite values of 0 or more, one a minute")
        if not 1 <= boot <= DAY // 2 or not 0 < unit < float("inf"):
            raise ValueError("boot must be from 1 minute to half a day, and unit above 0")
        self.policy, self.boot, self.unit, self._first = policy or Policy(), boot, unit, len(load)
        expected = expect(load, start, events, ahead=DAY + boot + 1)
        self._expected = np.log(expected.load + unit)
        self._top = _running_max(self._expected, boot)
        self._phase, self._doubt = expected.phase, expected.doubt * log(self.policy.unknown)
        logs = np.log(load + unit)
        unrest = _unrest(logs)
        self._logs, self._unrest = logs.tolist(), float(unrest[-1])
        self._weights = self._learn(logs, unrest)
        self._promises: deque[tuple[int, float]] = deque()
        self._surprise = 0.0
        self._replay(logs, unrest)

    @property
    def stale(self) -> bool:
        """Tell whether its day is over."""
        return len(self._logs) >= self._first + DAY

    def see(self, value: float) -> float:
        """Take the load of the minute that has just ended; return what it stays below for the next `boot` minutes."""
        if self.stale:
            raise ValueError("a day has passed: fit a new outlook")
        if not 0 <= value < float("inf"):
            raise ValueError("a load must be a finite number of 0 or more")
        self._logs.append(log(value + self.unit))
        self._unrest += _PER_MINUTE * (abs(self._logs[-1] - self._logs[-2]) - self._unrest)
        at = len(self._logs)
        return self._promise(at, self._logs[-1] + float(self._row(at) @ self._weights))

    def now(self) -> float:
        """Return what was promised last."""
        return max(0.0, exp(self._promises[-1][1]) - self.unit)

    def _promise(self, at: int, upper: float) -> float:
        promises, last = self._promises, self._logs[at - 1]
        while promises and promises[0][0] < at - 1 - self.boot:
            promises.popleft()
        broken = last - promises[0][1] if promises else 0.0
        self._surprise = max(self._surprise * 0.5 ** (1 / self.policy.surprise), broken)
        # Below next to nothing no promise means anything: one that did would be broken by anything.
        upper = max(upper, log(self.unit)) + self._surprise + self._doubt[at]
        # The lowest of those that still stand comes first.
        while promises and promises[-1][1] >= upper:
            promises.pop()
        promises.append((at, upper))
        return max(0.0, exp(upper) - self.unit)

    def _replay(self, logs: Array, unrest: Array) -> None:
        """Promise again what would have been in the last hours: what surprised then still counts."""
        at = np.arange(max(1, self._first - int(5 * self.policy.surprise)), self._first + 1)
        upper = self._rows(logs, unrest, at) @ self._weights + logs[at - 1]
        for minute, value in zip(at.tolist(), upper.tolist(), strict=True):
            self._promise(minute, value)

    def _learn(self, logs: Array, unrest: Array) -> Array:
        first = max(max(_SLOPES) + 2, self._first - self.policy.days * DAY)
        at = np.arange(first, self._first - self.boot, self.policy.every)
        if self._first < DAY:
            # Nothing to learn from yet: as much room as an autoscaler leaves that aims at 70 %.
            unlearned: Array = np.eye(len(self._row(self._first)))[0] * log(1 / 0.7)
            return unlearned
        climb = _running_max(logs, self.boot)[at] - logs[at - 1]
        newer = 0.5 ** ((self._first - at) / self.policy.half_life)
        return quantile_regression(self._rows(logs, unrest, at), climb, self.policy.quantile, newer)

    def _rows(self, logs: Array, unrest: Array, at: NDArray[np.int64]) -> Array:
        last = logs[at - 1]
        slopes = [last - logs[np.maximum(0, at - 1 - minutes)] for minutes in _SLOPES]
        comes, gap, phase = self._top[at] - self._expected[at - 1], self._expected[at - 1] - last, self._phase[at]
        up = (np.maximum(comes, 0), np.maximum(gap, 0), np.maximum(slopes[1], 0))
        phases = [(phase == number).astype(float) for number in (1, 2, 3)]
        facts = np.stack([comes, gap, *slopes, *up, unrest[at - 1], *phases, last], axis=1)
        # Around an event a load moves by other rules than on a quiet day.
        return np.hstack([np.ones((len(at), 1)), facts, facts * (phase > 0)[:, None]])

    def _row(self, at: int) -> Array:
        logs, last = self._logs, self._logs[at - 1]
        slopes = [last - logs[max(0, at - 1 - minutes)] for minutes in _SLOPES]
        comes, gap = float(self._top[at] - self._expected[at - 1]), float(self._expected[at - 1]) - last
        up, phase = (max(comes, 0.0), max(gap, 0.0), max(slopes[1], 0.0)), self._phase[at]
        facts = (comes, gap, *slopes, *up, self._unrest, phase == 1, phase == 2, phase == 3, last)
        return np.array([1.0, *facts, *(fact * (phase > 0) for fact in facts)])


_PER_MINUTE = 1 - exp(-1 / 30)


def _unrest(logs: Array) -> Array:
    """Return the mean change a minute, exponentially weighted over half an hour."""
    found, mean = [], 0.0
    for change in np.abs(np.diff(logs, prepend=logs[0])).tolist():
        mean += _PER_MINUTE * (change - mean)
        found.append(mean)
    return np.array(found)


def _running_max(values: Array, ahead: int) -> Array:
    """Return the maximum of each value and the `ahead` after it."""
    padded = np.concatenate([values, np.repeat(values[-1], ahead)])
    highest: Array = np.lib.stride_tricks.sliding_window_view(padded, ahead + 1).max(axis=1)
    return highest


def quantile_regression(rows: Array, values: Sequence[float] | Array, quantile: float, weights: Array) -> Array:
    """Return the coefficients whose product with a row is the `quantile` of its value.

    Iteratively reweighted least squares on the pinball loss (Schlossmacher 1973), with a slight ridge on scaled columns.
    """
    scale = rows.std(axis=0)
    scale[scale < 1e-9] = 1.0
    scaled, found = rows / scale, np.zeros(rows.shape[1])
    ridge = _RIDGE * len(rows) * np.eye(rows.shape[1])
    ridge[0, 0] = 1e-9
    for _ in range(_ITERATIONS):
        residuals = values - scaled @ found
        pull = np.where(residuals > 0, quantile, 1 - quantile) / np.maximum(np.abs(residuals), 1e-3) * weights
        better = np.linalg.solve(scaled.T @ (scaled * pull[:, None]) + ridge, scaled.T @ (pull * values))
        done = np.abs(better - found).max() < 1e-4
        found = better
        if done:
            break
    coefficients: Array = found / scale
    return coefficients
