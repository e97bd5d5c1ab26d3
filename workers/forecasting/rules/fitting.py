"""Fitting a peak forecast on a load up to now, its events and their calendar.

Pure, and the same for the same input.
"""

from collections.abc import Iterable, Sequence
from math import log

import numpy as np
from numpy.typing import NDArray

from workers.forecasting.rules.events import DAY, Array, Event, Expectation, expect
from workers.forecasting.rules.peak_forecast import PER_MINUTE, SLOPES, Fitted, Policy, Promises

_ITERATIONS, _RIDGE = 25, 1e-3
#: A regression begins on one row in so many.
_COARSE = 4
#: A first of its kind takes so many minutes for all it may add.
_RISE = 10
#: An extreme quantile has few rows to go by and falls below a lower one where they are rare: no bound is
#: below this one's.
_USUAL = 0.9
#: Around an event so much of what is expected stands ready, and for so many minutes after it should have
#: come.
_WAITED, _LATE = 0.5, 30


def fit(
    load: Array, start: int, events: Iterable[Event], *, boot: int, unit: float, policy: Policy | None = None
) -> Fitted:
    """Fit a peak forecast on `load`, one value a minute from minute `start` on.

    `boot` is the minutes until capacity that is ordered now can be used; `unit` a load that is next to
    nothing, as half of what an instance carries: below it, relative changes mean little. Raises ValueError
    for a load that is none.
    """
    if len(load) < 2 or not np.isfinite(load).all() or (load < 0).any():
        raise ValueError("load must be two or more finite values of 0 or more, one a minute")
    if not 1 <= boot <= DAY // 2 or not 0 < unit < float("inf"):
        raise ValueError("boot must be from 1 minute to half a day, and unit above 0")
    fitting = _Fitting(load, start, events, boot, unit, policy or Policy())
    return fitting.result(start + len(load))


class _Fitting:
    """The arrays over all that was seen and a day more, and what follows from them."""

    def __init__(
        self, load: Array, start: int, events: Iterable[Event], boot: int, unit: float, policy: Policy
    ) -> None:
        self.policy, self.boot, self.unit, self.first = policy, boot, unit, len(load)
        expected = expect(load, start, events, ahead=DAY + boot + 1)
        self.expected, self.high = (
            np.log(expected.load + unit),
            _running_max(np.log(expected.high + unit), boot),
        )
        self.top = _running_max(self.expected, boot)
        self.phase, self.lowest = expected.phase, self._waited(load, expected)
        # In less time than a rise takes, less of it can come.
        self.doubt = expected.doubt * log(policy.unknown) * min(1.0, boot / _RISE)
        self.logs = np.log(load + unit)
        self.unrest = _unrest(self.logs)
        self.weights = self._weights()

    def _waited(self, load: Array, expected: Expectation) -> Array:
        late = np.exp(_running_max(self.top[::-1], _LATE)[::-1]) - self.unit
        # No more than ever came is waited for: what was learned of a few events may be far off.
        found: Array = np.where(expected.doubt > 0, np.clip(_WAITED * late, 0.0, load.max()), 0.0)
        return found

    def result(self, minute: int) -> Fitted:
        """Return what is stored: the fit, the day ahead, and where the promises stand."""
        promises, day = self._replayed(), slice(self.first - 1, self.first + DAY + 1)
        ahead = [self.expected, self.top, self.high, self.lowest, self.phase.astype(float), self.doubt]
        hour = max(SLOPES) + 1
        return Fitted(
            minute=minute,
            boot=self.boot,
            unit=self.unit,
            surprise=self.policy.surprise,
            weights=self.weights,
            ahead=np.stack([one[day] for one in ahead]),
            logs=np.pad(self.logs[-hour:], (max(0, hour - self.first), 0), "edge"),
            unrest=float(self.unrest[-1]),
            promises=np.array([(at - self.first, load) for at, load in promises.active]).reshape(-1, 2),
            wanted=np.array(promises.wanted),
            missed=promises.missed,
        )

    def _replayed(self) -> Promises:
        """Promise again what would have been in the last hours: what surprised then still counts."""
        promises = Promises(boot=self.boot, surprise=self.policy.surprise)
        at = np.arange(max(1, self.first - int(5 * self.policy.surprise)), self.first + 1)
        upper = (self.rows(at) @ self.weights.T).max(axis=1) + self.logs[at - 1]
        bounds = np.maximum(self.lowest[at], np.exp(upper + self.doubt[at]) - self.unit)
        loads = np.exp(self.logs[at - 1]) - self.unit
        for minute, load, bound in zip(at.tolist(), loads.tolist(), bounds.tolist(), strict=True):
            promises.give(minute, load, bound)
        return promises

    def _weights(self) -> Array:
        first = max(max(SLOPES) + 2, self.first - self.policy.days * DAY)
        at = np.arange(first, self.first - self.boot, self.policy.every)
        if self.first < DAY:
            # Nothing to learn from yet: as much room as an autoscaler leaves that aims at 70 %.
            columns = self.rows(np.array([self.first])).shape[1]
            unlearned: Array = np.eye(1, columns) * log(1 / 0.7)
            return unlearned
        climb = _running_max(self.logs, self.boot)[at] - self.logs[at - 1]
        newer = 0.5 ** ((self.first - at) / self.policy.half_life)
        rows, quantiles = self.rows(at), (min(_USUAL, self.policy.quantile), self.policy.quantile)
        return np.stack([quantile_regression(rows, climb, quantile, newer) for quantile in quantiles])

    def rows(self, at: NDArray[np.int64]) -> Array:
        """Return the facts of minutes, as `PeakForecast` has them of one."""
        logs, last = self.logs, self.logs[at - 1]
        slopes = [last - logs[np.maximum(0, at - 1 - minutes)] for minutes in SLOPES]
        comes, gap, phase = self.top[at] - self.expected[at - 1], self.expected[at - 1] - last, self.phase[at]
        up = (np.maximum(comes, 0), np.maximum(gap, 0), np.maximum(slopes[1], 0))
        facts = np.stack([comes, gap, *slopes, *up, self.unrest[at - 1], last], axis=1)
        phases = np.stack([phase == 1, phase == 2, phase == 3], axis=1).astype(float)
        high = np.maximum(self.high[at] - last, 0)[:, None] * phases
        # Around an event a load moves by other rules than on a quiet day.
        return np.hstack([np.ones((len(at), 1)), facts, facts * (phase > 0)[:, None], phases, high])


_AT_ONCE = 720


def _unrest(logs: Array) -> Array:
    """Return the mean change a minute, exponentially weighted over half an hour."""
    changes, mean, found = np.abs(np.diff(logs, prepend=logs[0])), 0.0, np.empty(len(logs))
    # Weighted sums at once, for as many minutes as the weights stay in range.
    grown = (1 - PER_MINUTE) ** -np.arange(1.0, _AT_ONCE + 1)
    for first in range(0, len(logs), _AT_ONCE):
        part = changes[first : first + _AT_ONCE]
        weights = grown[: len(part)]
        found[first : first + len(part)] = (mean + PER_MINUTE * np.cumsum(part * weights)) / weights
        mean = float(found[first + len(part) - 1])
    return found


def _running_max(values: Array, ahead: int) -> Array:
    """Return the maximum of each value and the `ahead` after it."""
    highest, covers = values.copy(), 1
    while covers <= ahead:
        step = min(covers, ahead + 1 - covers)
        highest[:-step] = np.maximum(highest[:-step], highest[step:])
        covers += step
    return highest


def quantile_regression(
    rows: Array, values: Sequence[float] | Array, quantile: float, weights: Array
) -> Array:
    """Return the coefficients whose product with a row is the `quantile` of its value.

    Iteratively reweighted least squares on the pinball loss (Schlossmacher 1973), with a slight ridge on
    scaled columns.
    """
    scale = rows.std(axis=0)
    scale[scale < 1e-9] = 1.0
    scaled, wanted = rows / scale, np.asarray(values, dtype=np.float64)
    found = np.zeros(rows.shape[1])
    # Most of the way is gone on few rows.
    for one_in in (_COARSE, 1):
        part = slice(None, None, one_in)
        found = _settle(scaled[part], wanted[part], quantile, weights[part], found)
    coefficients: Array = found / scale
    return coefficients


def _settle(rows: Array, values: Array, quantile: float, weights: Array, found: Array) -> Array:
    ridge = _RIDGE * len(rows) * np.eye(rows.shape[1])
    ridge[0, 0] = 1e-9
    for _ in range(_ITERATIONS):
        residuals = values - rows @ found
        pull = np.where(residuals > 0, quantile, 1 - quantile) / np.maximum(np.abs(residuals), 1e-3) * weights
        better = np.linalg.solve(rows.T @ (rows * pull[:, None]) + ridge, rows.T @ (pull * values)).astype(
            np.float64
        )
        done = np.abs(better - found).max() < 1e-3
        found = better
        if done:
            break
    return found
