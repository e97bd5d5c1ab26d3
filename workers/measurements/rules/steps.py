"""Where a series' level stepped.

A two-sided CUSUM (Page 1954) on what a series' own past does not explain. Pure. A series is a level that
drifts with the day, and noise that remembers the sweep before (AR(1)). Both are learned as values come,
clipped, so that neither one wild value nor an incident teaches them much. What is left is summed as the log
of how much more likely a step is than none: `page` is that log, so one figure does for series of every unit,
scale and memory.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

#: E min(z², 2.5²) of a normal z: what clipping leaves of its variance.
CLIPPED, LEFT = np.float32(2.5), np.float32(0.9455)
ZERO, MIN, MAX_LAG = np.float32(0), np.float32(1e-18), np.float32(0.9)
#: Of its level, how little a float32 can still follow.
RESOLUTION = np.float32(1e-5)


@dataclass(frozen=True)
class Tuning:
    """What is looked for and how it is learned.

    Deviations in standard deviations, spans in sweeps, gains a sweep.
    """

    every: float = 10.0  # seconds from sweep to sweep
    step: float = 2.5  # the step found soonest; larger ones are found sooner still, one of half of it never
    page: float = 18.5  # nats: at 10,000 series one false page a day
    record: float = (
        2.0  # and by so much its own highest sum of late: what is wild of itself must be wilder to be said
    )
    learned: int = 8640  # says nothing before
    settle: int = 30  # says nothing so long after its level was learned anew
    stale: int = 30  # a longer gap has the level learned anew
    away: int = 2160  # a step back within so long is a recovery
    level: float = 1 / 100
    noise: float = 1 / 5000
    forget: float = 1 / 8640  # of the highest sum
    clip: float = 4.0
    unsure: float = 0.4  # allowed for errors of the level, in its own standard deviations
    calm: float = 4.4  # nats: above, what may be an incident does not teach the level


class Row(NamedTuple):
    """What is remembered of every series.

    `away` is the direction of the last step times the sweeps it is remembered.
    """

    level: Array
    slope: Array
    last: Array
    variance: Array
    lag: Array
    up: Array
    down: Array
    peak: Array
    record: Array
    seen: Array
    age: Array
    away: Array


#: A row as it is kept.
ROW = np.dtype([("at", "<f8"), ("state", "<f4", (len(Row._fields),))])
STATE_BYTES = ROW.itemsize


class Seen(NamedTuple):
    """How values deviate: clipped, whitened and clipped, their spread, whether they follow the last sweep."""

    off: Array
    surprise: Array
    spread: Array
    joined: Array


class Steps:
    """Watch `count` series, and say when the level of one stepped."""

    def __init__(self, count: int, tuning: Tuning) -> None:
        self.tuning = tuning
        self._at = np.zeros(count)
        self._state = np.zeros((len(Row._fields), count), np.float32)

    @property
    def away(self) -> NDArray[np.int8]:
        """Return which way each series last stepped (1, -1), 0 once it stepped back or that was long ago."""
        return np.sign(Row(*self._state).away).astype(np.int8)

    def step(self, at: float, values: NDArray[np.floating], reset: NDArray[np.intp] | None = None) -> Array:
        """Take a sweep's values, one a series, NaN for none; return sums over the threshold, signed.

        1 and more, or -1 and less, is a step, said once; the step back within `away` is not said, but ends
        `away`. Rows in `reset` were changed on purpose: their level is learned anew.
        """
        rows = Row(*self._state)
        if reset is not None:
            rows.age[reset] = 0
        there = np.isfinite(values)
        absent = np.flatnonzero(~there)
        kept = self._state[:, absent]
        missed = ((at - self._at) / self.tuning.every).astype(np.float32)
        seen = self._see(rows, np.where(there, values, rows.level).astype(np.float32, copy=False), missed)
        scores = self._weigh(rows, seen)
        self._learn_level(rows, seen)
        self._learn_noise(rows, seen)
        scores[absent] = 0
        self._turn(rows, scores)
        self._state[:, absent] = kept
        np.copyto(self._at, at, where=there)
        return scores

    def add(self, count: int) -> None:
        """Watch so many series more."""
        self._at = np.append(self._at, np.zeros(count))
        self._state = np.hstack([self._state, np.zeros((len(self._state), count), np.float32)])

    def pack(self) -> NDArray[np.uint8]:
        """Return the state, one row of STATE_BYTES a series."""
        rows = np.empty(len(self._at), ROW)
        rows["at"], rows["state"] = self._at, self._state.T
        return rows.view(np.uint8).reshape(-1, STATE_BYTES)

    @classmethod
    def unpack(cls, rows: NDArray[np.uint8], tuning: Tuning) -> Self:
        """Return the watch that was packed."""
        found, kept = cls(len(rows), tuning), np.ascontiguousarray(rows).view(ROW)[:, 0]
        found._at[:], found._state[:] = kept["at"], kept["state"].T
        return found

    def _see(self, rows: Row, values: Array, missed: Array) -> Seen:
        tuning = self.tuning
        rows.age[missed > tuning.stale + 0.5] = 0
        np.add(rows.level, rows.slope * missed, out=rows.level)
        new = np.flatnonzero(rows.age == 0)
        rows.level[new] = values[new]
        rows.up[new] = rows.down[new] = 0
        joined = missed < 1.5
        joined[new] = False
        off, clip = values - rows.level, np.float32(tuning.clip)
        spread = np.sqrt(rows.variance) + RESOLUTION * np.abs(rows.level) + MIN
        surprise = _within((off - rows.lag * rows.last) / spread, clip)
        # What never varied has no spread: its first deviation makes one, by which it is as large as one may
        # be.
        np.copyto(rows.variance, np.square(off / clip), where=rows.variance == 0)
        off = _within(off, clip * spread / np.sqrt(1 - rows.lag * rows.lag))
        return Seen(off, surprise, spread, joined.astype(np.float32))

    def _weigh(self, rows: Row, seen: Seen) -> Array:
        tuning = self.tuning
        # By what a step shifts the whitened values once the noise remembers it too.
        shift = np.float32(tuning.step) * np.sqrt((1 - rows.lag) / (1 + rows.lag))
        allowed = shift / 2 + np.float32(tuning.unsure) * np.sqrt(self._gain(rows))
        shift *= seen.joined * (rows.age >= tuning.settle) * (rows.seen >= tuning.learned / 4)
        np.maximum(rows.up + shift * (seen.surprise - allowed), ZERO, out=rows.up)
        np.maximum(rows.down - shift * (seen.surprise + allowed), ZERO, out=rows.down)
        highest = np.maximum(rows.up, rows.down)
        threshold = np.maximum(np.float32(tuning.record) * rows.record, np.float32(tuning.page))
        self._learn_record(rows, highest)
        scores: Array = np.copysign(highest * (rows.seen >= tuning.learned), rows.up - rows.down) / threshold
        return scores

    def _gain(self, rows: Row) -> Array:
        return np.maximum(1 / (rows.age + 1), np.float32(self.tuning.level))

    def _learn_record(self, rows: Row, highest: Array) -> None:
        np.maximum(rows.peak, highest, out=rows.peak)
        over = highest == 0
        np.multiply(rows.record, np.float32(1 - self.tuning.forget), out=rows.record)
        # Only what has ended counts: a sum must not raise its own threshold.
        np.maximum(rows.record, rows.peak * over, out=rows.record)
        np.multiply(rows.peak, ~over, out=rows.peak)

    def _learn_level(self, rows: Row, seen: Seen) -> None:
        tuning = self.tuning
        calm = np.maximum(rows.up, rows.down) < tuning.calm
        gain = np.maximum(1 / (rows.age + 1), np.float32(tuning.level) * calm)
        np.add(rows.level, gain * seen.off, out=rows.level)
        # Critically damped, so that the level follows the day without swinging.
        np.add(rows.slope, np.float32(tuning.level**2 / 4) * seen.joined * calm * seen.off, out=rows.slope)
        np.add(rows.age, 1, out=rows.age)

    def _learn_noise(self, rows: Row, seen: Seen) -> None:
        gain = np.maximum(2 / (rows.seen + 20), np.float32(self.tuning.noise)) * seen.joined
        tame = _within(seen.surprise, CLIPPED)
        np.multiply(rows.variance, 1 + gain * (tame * tame / LEFT - 1), out=rows.variance)
        lag = rows.lag + gain * tame * (1 - rows.lag * rows.lag) * rows.last / seen.spread
        np.minimum(np.maximum(lag, ZERO), MAX_LAG, out=rows.lag)
        rows.last[:] = seen.off
        np.add(rows.seen, 1, out=rows.seen)

    def _turn(self, rows: Row, scores: Array) -> None:
        rows.away[:] = np.copysign(np.maximum(np.abs(rows.away) - 1, ZERO), rows.away)
        stepped = np.flatnonzero(np.abs(scores) >= 1)
        if not len(stepped):
            return
        ways = np.sign(scores[stepped])
        back = rows.away[stepped] * ways < 0
        rows.away[stepped] = np.where(back, ZERO, ways * self.tuning.away)
        rows.age[stepped] = 0
        # The next one of the day has to be that much clearer, but no more than that however many there were.
        rows.peak[stepped] = np.where(back, ZERO, self.tuning.page)
        scores[stepped[back]] = 0


def _within(values: Array, bound: Array | np.float32) -> Array:
    return np.minimum(np.maximum(values, -bound), bound)
