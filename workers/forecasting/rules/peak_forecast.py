"""How high a load may climb before more capacity can be there.

An upper bound of its maximum over the next minutes. Pure. A linear quantile regression (Koenker and Bassett
1978) of the logarithm of the climb on what the expectation says will come, how far the load is from it, its
slopes and its unrest; fitted on what was seen, the newer the more (`fitting.py`). A promise that was broken
raises those after it by what was missing, and that fades. A crowd that is expected and has not come yet is
waited for.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log
from operator import mul
from typing import ClassVar

from workers.forecasting.rules.events import DAY, Array

#: Slopes over so many minutes are looked at.
SLOPES = (1, 5, 15, 60)
#: What was promised so many minutes ago still holds: a load that is gone for a moment comes back before
#: capacity would.
HOLD = 2
#: The unrest is a mean over half an hour, exponentially weighted.
PER_MINUTE = 1 - exp(-1 / 30)


@dataclass(frozen=True)
class Policy:
    """What a peak forecast promises: the load stays below it `quantile` of the time.

    `days` of the past are learned from, one minute in `every`, with the weight halved each `half_life`. An
    event that is the first of its kind may multiply the load by `unknown`; a broken promise is remembered
    with the half life `surprise`. Times are minutes.
    """

    prefix: ClassVar = "PEAK_FORECAST_"
    formerly: ClassVar = "OUTLOOK_"

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


@dataclass(frozen=True)
class Fitted:
    """What was fitted on a load up to `minute`, good for the day from then on.

    It is stored once, and read by all. `ahead` has a column each minute from the one before `minute` on; its
    rows are the logarithms of what is expected, of the most of that until capacity can be there and of its
    upper quantile, then the load to be ready for, the phase, the doubt. `logs` are the last hour's and a
    minute. `promises` are (minute after `minute`, load) that stand, `wanted` the last ones.
    """

    minute: int
    boot: int
    unit: float
    surprise: float
    weights: Array
    ahead: Array
    logs: Array
    unrest: float
    promises: Array
    wanted: Array
    missed: float


class Promises:
    """The upper bounds that were given, and by how much the worst of them was broken."""

    def __init__(self, *, boot: int, surprise: float, missed: float = 0.0) -> None:
        """Begin without any."""
        self._boot, self._fades, self.missed = boot, 0.5 ** (1 / surprise), missed
        self.active: deque[tuple[int, float]] = deque()
        self.wanted: deque[float] = deque(maxlen=HOLD + 1)

    def now(self) -> float:
        """Return what holds now."""
        return max(self.wanted)

    def give(self, at: int, load: float, bound: float) -> float:
        """Give a bound at a minute, when the load was seen in the one before; return what holds."""
        active = self.active
        while active and active[0][0] < at - 1 - self._boot:
            active.popleft()
        missed = load - active[0][1] if active else 0.0
        # What was missing is counted in load: relative to next to nothing any load is a great surprise.
        self.missed = max(self.missed * self._fades, missed)
        # The next minute will hardly be below this one, whatever few events may have taught.
        self.wanted.append(max(load, bound) + self.missed)
        promised = self.now()
        # The lowest of those that still stand comes first.
        while active and active[-1][1] >= promised:
            active.pop()
        active.append((at, promised))
        return promised

    def resume(self, active: Iterable[tuple[float, float]], wanted: Iterable[float]) -> None:
        """Go on from those of before."""
        self.active.extend((int(at), load) for at, load in active)
        self.wanted.extend(wanted)


class PeakForecast:
    """Goes on from what was fitted, minute by minute, for a day: two that see the same say the same."""

    def __init__(self, fitted: Fitted) -> None:
        """Begin where the fit ended."""
        self.boot, self.unit = fitted.boot, fitted.unit
        self._coefficients = fitted.weights.tolist()
        self._expected, self._top, self._high, self._lowest, self._phase, self._doubt = fitted.ahead
        self._logs: list[float] = fitted.logs.tolist()
        self._known, self._unrest = len(self._logs), fitted.unrest
        self._promises = Promises(boot=fitted.boot, surprise=fitted.surprise, missed=fitted.missed)
        self._promises.resume(fitted.promises.tolist(), fitted.wanted.tolist())

    @property
    def stale(self) -> bool:
        """Tell whether its day has ended."""
        return self._seen >= DAY

    @property
    def _seen(self) -> int:
        return len(self._logs) - self._known

    def see(self, value: float) -> float:
        """Take the load of the minute that has just ended.

        Return what it stays below for the next `boot` minutes.
        """
        if self.stale:
            raise ValueError("a day has passed: fit a new one")
        if not 0 <= value < float("inf"):
            raise ValueError("a load must be a finite number of 0 or more")
        self._logs.append(log(value + self.unit))
        self._unrest += PER_MINUTE * (abs(self._logs[-1] - self._logs[-2]) - self._unrest)
        at = self._seen
        row = self._row(at)
        upper = self._logs[-1] + max(sum(map(mul, row, each)) for each in self._coefficients)
        bound = max(self._lowest.item(at + 1), exp(upper + self._doubt.item(at + 1)) - self.unit)
        return self._promises.give(at, exp(self._logs[-1]) - self.unit, bound)

    def now(self) -> float:
        """Return what was promised last."""
        return self._promises.now()

    @property
    def last(self) -> float:
        """Return the load that was seen last."""
        return exp(self._logs[-1]) - self.unit

    def _row(self, at: int) -> list[float]:
        logs, last, phase = self._logs, self._logs[-1], self._phase.item(at + 1)
        slopes = [last - logs[-1 - minutes] for minutes in SLOPES]
        expected, high = self._expected.item(at), max(self._high.item(at + 1) - last, 0.0)
        comes, gap = self._top.item(at + 1) - expected, expected - last
        up = (max(comes, 0.0), max(gap, 0.0), max(slopes[1], 0.0))
        facts = [comes, gap, *slopes, *up, self._unrest, last]
        if not phase:
            return [1.0, *facts] + [0.0] * (len(facts) + 6)
        phases = [float(phase == number) for number in (1, 2, 3)]
        return [1.0, *facts, *facts, *phases, *(high * here for here in phases)]
