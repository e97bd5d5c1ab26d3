"""How weddings go on, given what was reported: when moments to come will start. Pure.

Each moment starts when it is planned, or when the last one that it waits for has ended, and its own delay
later; it takes a share of its planned length. Delays and shares are distributions, learned of past weddings
(fitting.py), and so is the answer: sixty-four paths through each day, drawn by strata (Latin hypercube, McKay
et al., 1979), so that the same day has the same answer. What should have been reported by now and was not
either has not happened, or was forgotten: both by how likely they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from workers.wedding_day.rules.fitting import HURRIES, PATHS, Fits, over_usual
from workers.wedding_day.rules.plans import Plan, Reported

Array = NDArray[np.float32]
Numbers = NDArray[np.intp]

#: In minutes: a report of what happened comes so soon.
REPORTED_WITHIN = 4.0
_HALF, _NINE_TENTHS = PATHS // 2, int(0.9 * PATHS)
#: In which stratum each path is, by moment's place: one order for starts, another for lengths.
_ORDERS = np.array([np.random.default_rng(place).permutation(PATHS) for place in range(512)])


@dataclass(frozen=True)
class Day:
    """A wedding's day: its plan, what was reported, and the moment in minutes from the wedding's start."""

    plan: Plan
    reported: Reported
    now: float
    venue: str


@dataclass(frozen=True)
class Course:
    """How a day goes on, by moment's place; NaN where a moment has started.

    `p50` and `p90` are when it starts, in minutes from the wedding's start; `late` how likely it is late by
    more than asked for; `delay` what it adds of its own to what it waits for, in minutes, on average.
    """

    p50: Array
    p90: Array
    late: Array
    delay: Array


def forecast(days: Sequence[Day], fits: Fits, *, late_by: float) -> list[Course]:
    """Return how days go on; `late_by` minutes after its plan a moment is late."""
    if not days:
        return []
    flat = _Flat(days, fits)
    starts, ends = flat.paths()
    open_ = np.flatnonzero(np.isnan(flat.started) & np.isnan(flat.ended))
    found = np.full((4, len(flat.planned)), np.nan, dtype=np.float32)
    paths = np.sort(starts[open_], axis=1)
    middle = paths[:, _HALF]
    # Days differ by more than their moments' sum: what was learned says by how much.
    wide = middle[:, None] + fits.stretch * (paths - middle[:, None])
    found[0, open_], found[1, open_] = middle, wide[:, _NINE_TENTHS]
    found[2, open_] = (wide > (flat.planned[open_] + late_by)[:, None]).mean(axis=1)
    found[3] = flat.own_delay(ends)
    return [Course(*found[:, first:last]) for first, last in flat.bounds]


class _Flat:
    """Many days beside each other: a row a moment, ordered by day and place; a column a path."""

    def __init__(self, days: Sequence[Day], fits: Fits) -> None:
        plans = [day.plan for day in days]
        counts = np.array([len(plan.ids) for plan in plans])
        firsts = np.concatenate([[0], np.cumsum(counts)])
        self.bounds = list(zip(firsts[:-1].tolist(), firsts[1:].tolist(), strict=True))
        self.fits = fits
        self.planned = _flat([plan.starts for plan in plans])
        self.lengths = _flat([plan.lengths for plan in plans])
        self.levels = np.array(list(chain.from_iterable(plan.levels for plan in plans)), dtype=np.intp)
        self.rows = np.array(
            [fits.row(kind, day.venue) for day in days for kind in day.plan.kinds], dtype=np.intp
        )
        self.now = np.repeat(np.array([day.now for day in days], dtype=np.float32), counts)
        self.places = np.arange(len(self.planned)) - np.repeat(firsts[:-1], counts)
        self.days = np.repeat(np.arange(len(days)), counts)
        self.started = self._reported([day.reported.started for day in days], firsts)
        self.ended = self._reported([day.reported.ended for day in days], firsts)
        edges = [
            np.array(plan.edges, dtype=np.intp).reshape(-1, 2) + first
            for plan, first in zip(plans, firsts[:-1], strict=True)
        ]
        self.edges = np.concatenate(edges)
        self.paces = self._paces(len(days))
        #: Moments that are over by what others tell, though nobody reported when they ended.
        self.inferred = self._infer()

    def _reported(self, times: Sequence[Mapping[int, float]], firsts: Numbers) -> Array:
        found = np.full(len(self.planned), np.nan, dtype=np.float32)
        for first, own in zip(firsts[:-1].tolist(), times, strict=True):
            for place, at in own.items():
                found[first + place] = at
        return found

    def _paces(self, days: int) -> Array:
        """Return by how much longer than usual each day's moments take, as far as what ended tells."""
        told = np.flatnonzero(~np.isnan(self.started) & ~np.isnan(self.ended) & (self.lengths > 0))
        late = self.started[told] - self.planned[told]
        share = (self.ended[told] - self.started[told]) / self.lengths[told]
        logs, own = over_usual(self.fits, self.rows[told], late, share), self.days[told]
        total, many = np.bincount(own, logs, minlength=days), np.bincount(own, minlength=days)
        # What few moments tell weighs little: the mean of a day, shrunk (James and Stein, 1961).
        found: Array = np.exp(self.fits.pace * total / (1 + self.fits.pace * many)).astype(np.float32)
        return found

    def _infer(self) -> NDArray[np.bool_]:
        """Have what a moment waited for be over once it has started or ended itself; return what is so."""
        moments, others = self.edges[:, 0], self.edges[:, 1]
        is_said = ~np.isnan(self.ended)
        # From the last moments to the first: what one of them tells, tells of all before it.
        for level in range(int(self.levels.max(initial=0)), 0, -1):
            by = np.fmin(self.started[moments], self.ended[moments])
            told = (self.levels[moments] == level) & ~np.isnan(by) & ~is_said[others]
            np.fmin.at(self.ended, others[told], by[told])
        found: NDArray[np.bool_] = ~is_said & ~np.isnan(self.ended)
        return found

    def paths(self) -> tuple[Array, Array]:
        """Return when each moment starts and ends on each path."""
        many = len(self.planned)
        starts = np.empty((many, PATHS), dtype=np.float32)
        ends = np.empty((many, PATHS), dtype=np.float32)
        by_level = np.argsort(self.levels, kind="stable")
        steps = np.concatenate([[0], np.cumsum(np.bincount(self.levels))])
        rank = np.empty(many, dtype=np.intp)
        rank[by_level] = np.arange(many)
        edges = self.edges[np.argsort(rank[self.edges[:, 0]], kind="stable")]
        edge_levels = self.levels[edges[:, 0]]
        for level in range(len(steps) - 1):
            own = by_level[steps[level] : steps[level + 1]]
            ready = np.repeat(self.planned[own, None], PATHS, axis=1)
            if level:
                there = edges[np.searchsorted(edge_levels, level) : np.searchsorted(edge_levels, level + 1)]
                begins = np.flatnonzero(np.diff(there[:, 0], prepend=-1))
                np.maximum(ready, np.maximum.reduceat(ends[there[:, 1]], begins, axis=0), out=ready)
            starts[own] = self._starts(own, ready)
            ends[own] = self._ends(own, starts[own])
        return starts, ends

    def _starts(self, own: Numbers, ready: Array) -> Array:
        orders = _ORDERS[self.places[own] % len(_ORDERS)]
        found = ready + self.fits.delays[self.rows[own][:, None], orders]
        is_open = np.isnan(self.started[own]) & np.isnan(self.ended[own])
        found = self._given_silence(found, own, is_open)
        return np.where(np.isnan(self.started[own])[:, None], found, self.started[own][:, None])

    def _ends(self, own: Numbers, starts: Array) -> Array:
        orders = _ORDERS[(self.places[own] + 256) % len(_ORDERS)]
        hurry = sum((starts - self.planned[own][:, None] > by).astype(np.intp) for by in HURRIES)
        shares = self.fits.shares[self.rows[own][:, None], hurry, orders]
        found = starts + (self.lengths[own] * self.paces[self.days[own]])[:, None] * shares
        is_open = np.isnan(self.ended[own])
        found = self._given_silence(found, own, is_open)
        return np.where(np.isnan(self.ended[own])[:, None], found, self.ended[own][:, None])

    def _given_silence(self, paths: Array, own: Numbers, is_open: NDArray[np.bool_]) -> Array:
        """Return paths given that nothing was reported by now.

        Of those on which it should have been, as many are kept as are likely to have been forgotten; the
        others are as those that are to come. A path keeps its rank, so what came before it still explains it.
        """
        by = (self.now[own] - REPORTED_WITHIN)[:, None]
        past = (paths < by).sum(axis=1)
        rows = np.flatnonzero(is_open & (past > 0))
        if not len(rows):
            return paths
        gone, q = past[rows].astype(np.float32), self.fits.missing
        kept = np.rint(PATHS * q * gone / (q * gone + PATHS - gone)).astype(np.intp)
        order = np.argsort(paths[rows], axis=1)
        sorted_ = np.take_along_axis(paths[rows], order, axis=1)
        places = np.take_along_axis(sorted_, _stretched(gone.astype(np.intp), kept), axis=1)
        found = paths.copy()
        redrawn = np.empty_like(places)
        np.put_along_axis(redrawn, order, places, axis=1)
        found[rows] = redrawn
        return found

    def own_delay(self, ends: Array) -> Array:
        """Return how much each moment adds to what it waits for, in minutes, on average over the paths."""
        ready = self.planned.copy()
        np.maximum.at(ready, self.edges[:, 0], ends.mean(axis=1)[self.edges[:, 1]])
        found: Array = ends.mean(axis=1) - self.lengths - ready
        # By how much what is only known to be over held up others, nobody knows.
        found[self.inferred] = 0.0
        return found


def _flat(columns: Sequence[Sequence[float]]) -> Array:
    return np.array(list(chain.from_iterable(columns)), dtype=np.float32)


def _stretched(gone: Numbers, kept: Numbers) -> Numbers:
    """Return for each path by rank which one it becomes: `kept` of the `gone` ones, else of those to come."""
    ranks, gone, kept = np.arange(PATHS)[None, :], gone[:, None], kept[:, None]
    old = ranks * gone // np.maximum(1, kept)
    new = gone + (ranks - kept) * (PATHS - gone) // np.maximum(1, PATHS - kept)
    return np.minimum(np.where(ranks < kept, old, new), PATHS - 1)
