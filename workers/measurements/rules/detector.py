"""Anomalies in many series at once, as their points come.

How surprising each is in the light of its own series' past. Pure. Four views of a series are looked at: how
far a value is from what is usual at that hour, the same smoothed, how restless the series is, and how seldom
it has been where it is. Each view keeps a histogram of its own past, so that a surprise is the logarithm of
how seldom the view was as high: it needs no unit, and one threshold serves all series. What was said once is
not said again: a score is given only to what is more surprising than what was said, and that fades.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Cells = NDArray[np.intp]
#: By name of a field in `_ROW`; the first axis is the series.
State = dict[str, NDArray[Any]]

#: A score from here on is worth telling somebody.
THRESHOLD = 0.82

_VIEWS, _CELLS, _HOURS = 4, 20, 24
#: The number of the view of restlessness.
_RESTLESS = 2
#: The width of a view's cell in octaves. A value's cells are finest about its centre: asinh(_FINE * distance)
#: * _COARSE.
_OCTAVES, _FINE, _COARSE = 0.7, 4.0, 2.0
#: So much above a view's record, as a share of it, counts like a past twice as long.
_ABOVE = 0.1
#: A view that is mostly in its highest cell has outgrown its unit, which then grows by so many cells.
_WIDER = 5
#: More than nothing, in the unit of any series; and less than that.
_TINY, _MIN = 1e-30, 1e-37
_MAX = 1e30
#: What a point in the cell adds to the counts of a view, by the cell's number and 1; nothing for 0.
_ADDS = np.tri(_CELLS + 1, dtype=np.uint16) + np.tri(_CELLS + 1, k=-1, dtype=np.uint16)
_ADDS[0] = 0

_ROW = np.dtype(
    [
        ("base", "<f8"),  # the first value: all else is relative to it, so that 32 bits are enough
        # of each view: twice all points, then twice those above a cell and those in it
        ("counts", "<u2", (_VIEWS, 1 + _CELLS)),
        ("places", "<u2", (_CELLS + 2,)),  # of the value: points in a cell, with an empty cell at either end
        ("usual", "<f4", (_HOURS,)),
        ("unit", "<f4", (_VIEWS,)),
        ("record", "<f4", (_VIEWS,)),
        ("smooth", "<f4", (_VIEWS - 1,)),
        ("centre", "<f4"),
        ("spread", "<f4"),
        ("last", "<f4"),
        ("said", "<f4"),
        ("seen", "<u4"),
    ]
)
STATE_BYTES = _ROW.itemsize


@dataclass(frozen=True)
class Tuning:
    """How the detector remembers; lengths are in points.

    Nothing is scored while the units of a series are learned from its first `learned`. Views are smoothed
    over `smoothed`, the usual of an hour follows at `rate`, histograms are halved at `kept`. What was said is
    not said again unless `louder` times as surprising, which fades over `refractory`.
    """

    learned: int = 60
    smoothed: float = 24.0
    rate: float = 0.05
    kept: int = 4096
    louder: float = 1.25
    refractory: float = 300.0

    def __post_init__(self) -> None:
        """Refuse what would never score, never calm down or overflow."""
        if not 2 <= self.learned < self.kept <= 32_000:
            raise ValueError("learned must be 2 or more, and kept above it and 32000 at most")
        if self.smoothed < 1 or self.refractory < 1 or self.louder < 1 or not 0 < self.rate <= 1:
            raise ValueError("smoothed, quiet and louder must be 1 or more, rate above 0 and 1 at most")


class Detector:
    """Scores the points of `count` series, from 0 to below 1."""

    def __init__(self, count: int, tuning: Tuning | None = None) -> None:
        """Begin with series of which nothing is known."""
        rows = np.zeros(count, _ROW)
        rows["usual"] = np.nan
        self.tuning, self._state = tuning or Tuning(), _columns(rows)

    def add(self, count: int) -> None:
        """Add series of which nothing is known, after those there are."""
        fresh = Detector(count)._state
        self._state = {name: np.concatenate((column, fresh[name])) for name, column in self._state.items()}

    def pack(self) -> NDArray[np.uint8]:
        """Return what is remembered: a row of STATE_BYTES for each series."""
        rows = np.zeros(len(self._state["seen"]), _ROW)
        for name, column in self._state.items():
            rows[name] = column
        return rows.view(np.uint8).reshape(-1, STATE_BYTES)

    @classmethod
    def unpack(cls, rows: NDArray[np.uint8], tuning: Tuning | None = None) -> "Detector":
        """Return the detector that was packed."""
        found = cls(0, tuning)
        found._state = _columns(np.ascontiguousarray(rows).reshape(-1).view(_ROW))
        return found

    def step(self, at: float | NDArray[np.float64], values: NDArray[np.float64]) -> Floats:
        """Return the scores of one value of each series at epoch seconds `at`.

        NaN is no value, and scores 0.
        """
        values = np.asarray(values, np.float64)
        hours = np.broadcast_to((np.asarray(at) % 86_400 * (_HOURS / 86_400)).astype(np.intp), values.shape)
        there = np.flatnonzero(np.isfinite(values))
        if len(there) == len(values):
            return self._advance(self._state, hours, values)
        scores, part = (
            np.zeros(len(values), np.float32),
            {name: column[there] for name, column in self._state.items()},
        )
        scores[there] = self._advance(part, hours[there], values[there])
        for name, column in self._state.items():
            column[there] = part[name]
        return scores

    def _advance(self, state: State, hours: Cells, values: NDArray[np.float64]) -> Floats:
        known = state["seen"] >= self.tuning.learned
        share: Floats = np.reciprocal((state["seen"] + 1).astype(np.float32))
        np.copyto(state["base"], values, where=state["seen"] == 0)
        value = np.clip(values - state["base"], -_MAX, _MAX).astype(np.float32)
        place = _cells(np.arcsinh((value - state["centre"]) / (state["spread"] + _TINY) * _FINE) * _COARSE)
        views = self._look(state, value, hours, place, share)
        if not known.all():
            _learn(state, value, views, np.where(known, 0, share).astype(np.float32))
        if not state["unit"].all():
            np.copyto(state["unit"], views.T, where=state["unit"] == 0)
        cells = _cells(np.log2((views + _MIN) / (state["unit"].T + _TINY)) / _OCTAVES)
        surprise = np.where(known, _surprise(state, views, cells), 0)
        self._count(state, cells, place, known)
        state["seen"] += 1
        return self._say(state, surprise)

    def _look(self, state: State, value: Floats, hours: Cells, place: Cells, share: Floats) -> Floats:
        """Return the views of a value, (view, series)."""
        cell, flat = np.arange(len(value)) * _HOURS + hours, state["usual"].reshape(-1)
        usual = flat.take(cell)
        # An hour that is seen for the first time is as it is.
        usual = np.where(np.isnan(usual), value, usual)
        off, bound = value - usual, 2 * state["record"][:, 0]
        # One wild value is not to make an hour's usual useless for weeks.
        flat[cell] = usual + self.tuning.rate * np.clip(off, -bound, bound)
        now = np.stack(
            (off, np.abs(value - state["last"]), _rarity(state["places"], state["counts"][:, 0, 0], place))
        )
        state["last"] = value
        smooth = state["smooth"].T + np.maximum(1 / self.tuning.smoothed, share) * (now - state["smooth"].T)
        state["smooth"] = smooth.T
        views: Floats = np.abs(np.concatenate((off[None], smooth)))
        return views

    def _count(self, state: State, cells: Cells, place: Cells, known: NDArray[np.bool_]) -> None:
        counts, places = state["counts"], state["places"]
        counts += _ADDS.take(((cells + 1) * known).T, axis=0)
        places.reshape(-1)[np.arange(len(place)) * places.shape[1] + place + 1] += known
        full = counts[:, 0, 0] >= 2 * self.tuning.kept
        if full.any():
            counts[full] >>= 1
            places[full] >>= 1
            _widen(counts, state["unit"], full)

    def _say(self, state: State, surprise: Floats) -> Floats:
        said = state["said"] * np.float32(1 - 1 / self.tuning.refractory)
        speaks = surprise > said
        state["said"] = np.where(speaks, surprise * self.tuning.louder, said)
        return np.where(speaks, 1 - 1 / np.maximum(surprise, 1), 0)


def _columns(rows: NDArray[Any]) -> State:
    return {name: np.ascontiguousarray(rows[name]) for name in _ROW.names or ()}


def _cells(heights: NDArray[Any]) -> Cells:
    found: Cells = np.clip(heights + _CELLS / 2, 0, _CELLS - 1).astype(np.intp)
    return found


def _learn(state: State, value: Floats, views: Floats, share: Floats) -> None:
    state["spread"] += share * (np.abs(value - state["centre"]) - state["spread"])
    state["centre"] += share * (value - state["centre"])
    state["unit"] += (share * (views - state["unit"].T)).T


def _widen(counts: NDArray[np.uint16], unit: Floats, those: NDArray[np.bool_]) -> None:
    series, view = np.nonzero((counts[:, :, _CELLS] > counts[:, :, 0] >> 2) & those[:, None])
    counts[series, view, 1:-_WIDER] = counts[series, view, 1 + _WIDER :]
    counts[series, view, -_WIDER:] = 0
    unit[series, view] *= 2 ** (_WIDER * _OCTAVES)


def _rarity(places: NDArray[np.uint16], twice: NDArray[np.uint16], place: Cells) -> Floats:
    """Return how surprising a value's cell is, by the points in it and, half as heavy, in those beside it."""
    at = np.arange(len(place)) * places.shape[1] + place
    near = (places.take(at) + places.take(at + 1) * np.float32(2) + places.take(at + 2)) / 4
    rarity: Floats = np.log((twice * np.float32(0.5) + np.float32(_CELLS / 2)) / (near + np.float32(0.5)))
    return rarity


def _surprise(state: State, views: Floats, cells: Cells) -> Floats:
    """Return the logarithm of how seldom the views were so far out, by their mean of fourth powers.

    The highest counts most.
    """
    counts, record = state["counts"], state["record"].T
    points = counts[:, 0, 0]
    at = (np.arange(len(counts)) * _VIEWS + np.arange(_VIEWS)[:, None]) * (_CELLS + 1) + 1 + cells
    higher = counts.take(at)
    # A series may be too quiet as well.
    higher[_RESTLESS] = np.minimum(higher[_RESTLESS], points - higher[_RESTLESS])
    higher *= views <= record
    with np.errstate(over="ignore"):
        excess = np.minimum(
            np.maximum(views - record, 0) / (np.maximum(record, state["unit"].T) * _ABOVE + _TINY), 1e9
        )
    state["record"] = np.maximum(record, views).T
    odds = (points + np.float32(2)) * (1 + excess) / (higher + np.float32(1))
    surprise: Floats = np.sqrt(np.sqrt(np.mean(np.square(np.square(np.log(odds))), axis=0)))
    return surprise
