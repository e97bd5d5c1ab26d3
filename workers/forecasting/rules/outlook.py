"""How high a load may climb before more capacity can be there: an upper quantile of its maximum over the next minutes. Pure.

A linear quantile regression (Koenker and Bassett 1978) of the logarithm of the climb on what the expectation says will come,
how far the load is from it, its slopes and its unrest; fitted on what was seen, the newer the more. A promise that was broken
raises those after it by what was missing, and that fades. A crowd that is expected and has not come yet is waited for.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from operator import mul

import numpy as np
from numpy.typing import NDArray

from workers.forecasting.rules.events import DAY, Array, Event, expect

#: Slopes over so many minutes are looked at.
_SLOPES = (1, 5, 15, 60)
_ITERATIONS, _RIDGE = 25, 1e-3
#: A regression begins on one row in so many.
_COARSE = 4
#: A first of its kind takes so many minutes for all it may add.
_RISE = 10
#: What was promised so many minutes ago still holds: a load that is gone for a moment comes back before capacity would.
_HOLD = 2
#: An extreme quantile has few rows to go by and falls below a lower one where they are rare: no promise is below this one's.
_USUAL = 0.9
#: Around an event so much of what is expected stands ready, and for so many minutes after it should have come.
_WAITED, _LATE = 0.5, 30


@dataclass(frozen=True)
class Policy:
    """What the outlook promises: the load stays below it `quantile` of the time.

    `days` of the past are learned from, one minute in `every`, with the weight halved each `half_life`. An event that is the
    first of its kind may multiply the load by `unknown`; a broken promise is remembered with the half life `surprise`. Times
    are minutes.
    """

    quantile: float = 0.985
    days: int = 35
    half_life: int = 7 * DAY
    unknown: float = 1.4
    surprise: float = 90.0
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
        self._expected, self._high = np.log(expected.load + unit), _running_max(np.log(expected.high + unit), boot)
        self._top = _running_max(self._expected, boot)
        late = np.exp(_running_max(self._top[::-1], _LATE)[::-1]) - unit
        # No more than ever came is waited for: what was learned of a few events may be far off.
        self._least = np.where(expected.doubt > 0, np.clip(_WAITED * late, 0.0, load.max()), 0.0)
        # In less time than a rise takes, less of it can come.
        self._phase, self._doubt = expected.phase, expected.doubt * log(self.policy.unknown) * min(1.0, boot / _RISE)
        logs = np.log(load + unit)
        unrest = _unrest(logs)
        self._logs, self._unrest = logs.tolist(), float(unrest[-1])
        self._weights = self._learn(logs, unrest)
        self._coefficients = self._weights.tolist()
        self._promises: deque[tuple[int, float]] = deque()
        self._wanted: deque[float] = deque(maxlen=_HOLD + 1)
        self._missed = 0.0
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
        row = self._row(at)
        return self._promise(at, self._logs[-1] + max(sum(map(mul, row, each)) for each in self._coefficients))

    def now(self) -> float:
        """Return what was promised last."""
        return max(self._wanted)

    def _promise(self, at: int, upper: float) -> float:
        promises, load = self._promises, exp(self._logs[at - 1]) - self.unit
        while promises and promises[0][0] < at - 1 - self.boot:
            promises.popleft()
        missed = load - promises[0][1] if promises else 0.0
        # What was missing is counted in load: relative to next to nothing any load is a great surprise.
        self._missed = max(self._missed * 0.5 ** (1 / self.policy.surprise), missed)
        # The next minute will hardly be below this one, whatever few events may have taught.
        self._wanted.append(max(load, self._least.item(at), exp(upper + self._doubt.item(at)) - self.unit) + self._missed)
        promised = self.now()
        # The lowest of those that still stand comes first.
        while promises and promises[-1][1] >= promised:
            promises.pop()
        promises.append((at, promised))
        return promised

    def _replay(self, logs: Array, unrest: Array) -> None:
        """Promise again what would have been in the last hours: what surprised then still counts."""
        at = np.arange(max(1, self._first - int(5 * self.policy.surprise)), self._first + 1)
        upper = (self._rows(logs, unrest, at) @ self._weights.T).max(axis=1) + logs[at - 1]
        for minute, value in zip(at.tolist(), upper.tolist(), strict=True):
            self._promise(minute, value)

    def _learn(self, logs: Array, unrest: Array) -> Array:
        first = max(max(_SLOPES) + 2, self._first - self.policy.days * DAY)
        at = np.arange(first, self._first - self.boot, self.policy.every)
        if self._first < DAY:
            # Nothing to learn from yet: as much room as an autoscaler leaves that aims at 70 %.
            unlearned: Array = np.eye(1, len(self._row(self._first))) * log(1 / 0.7)
            return unlearned
        climb = _running_max(logs, self.boot)[at] - logs[at - 1]
        newer = 0.5 ** ((self._first - at) / self.policy.half_life)
        rows, quantiles = self._rows(logs, unrest, at), (min(_USUAL, self.policy.quantile), self.policy.quantile)
        return np.stack([quantile_regression(rows, climb, quantile, newer) for quantile in quantiles])

    def _rows(self, logs: Array, unrest: Array, at: NDArray[np.int64]) -> Array:
        last = logs[at - 1]
        slopes = [last - logs[np.maximum(0, at - 1 - minutes)] for minutes in _SLOPES]
        comes, gap, phase = self._top[at] - self._expected[at - 1], self._expected[at - 1] - last, self._phase[at]
        up = (np.maximum(comes, 0), np.maximum(gap, 0), np.maximum(slopes[1], 0))
        facts = np.stack([comes, gap, *slopes, *up, unrest[at - 1], last], axis=1)
        phases = np.stack([phase == 1, phase == 2, phase == 3], axis=1).astype(float)
        high = np.maximum(self._high[at] - last, 0)[:, None] * phases
        # Around an event a load moves by other rules than on a quiet day.
        return np.hstack([np.ones((len(at), 1)), facts, facts * (phase > 0)[:, None], phases, high])

    def _row(self, at: int) -> list[float]:
        logs, last, phase = self._logs, self._logs[at - 1], self._phase.item(at)
        slopes = [last - logs[max(0, at - 1 - minutes)] for minutes in _SLOPES]
        expected, high = self._expected.item(at - 1), max(self._high.item(at) - last, 0.0)
        comes, gap = self._top.item(at) - expected, expected - last
        up = (max(comes, 0.0), max(gap, 0.0), max(slopes[1], 0.0))
        facts = [comes, gap, *slopes, *up, self._unrest, last]
        if not phase:
            return [1.0, *facts] + [0.0] * (len(facts) + 6)
        phases = [float(phase == number) for number in (1, 2, 3)]
        return [1.0, *facts, *facts, *phases, *(high * here for here in phases)]


_PER_MINUTE, _AT_ONCE = 1 - exp(-1 / 30), 720


def _unrest(logs: Array) -> Array:
    """Return the mean change a minute, exponentially weighted over half an hour."""
    changes, mean, found = np.abs(np.diff(logs, prepend=logs[0])), 0.0, np.empty(len(logs))
    # Weighted sums at once, for as many minutes as the weights stay in range.
    grown = (1 - _PER_MINUTE) ** -np.arange(1.0, _AT_ONCE + 1)
    for first in range(0, len(logs), _AT_ONCE):
        part = changes[first : first + _AT_ONCE]
        weights = grown[: len(part)]
        found[first : first + len(part)] = (mean + _PER_MINUTE * np.cumsum(part * weights)) / weights
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


def quantile_regression(rows: Array, values: Sequence[float] | Array, quantile: float, weights: Array) -> Array:
    """Return the coefficients whose product with a row is the `quantile` of its value.

    Iteratively reweighted least squares on the pinball loss (Schlossmacher 1973), with a slight ridge on scaled columns.
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
        better = np.linalg.solve(rows.T @ (rows * pull[:, None]) + ridge, rows.T @ (pull * values)).astype(np.float64)
        done = np.abs(better - found).max() < 1e-3
        found = better
        if done:
            break
    return found
