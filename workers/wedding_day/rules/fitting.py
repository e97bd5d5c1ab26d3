"""What is learned of past weddings: by how much moments are delayed, and how long they take. Pure.

By kind of moment and venue; where little is known of these, what is known of the kind, and of all, weighs in
(partial pooling).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Numbers = NDArray[np.intp]

#: Paths through a day: so many quantiles stand for a distribution.
PATHS = 64
#: What is known of all weighs as much as so many moments of a kind.
PRIOR = 32
#: From so many minutes of delay on people hurry, and then more.
HURRIES = (10.0, 30.0)
#: Which share of its length a moment takes then, as long as nothing was learned.
_HURRIED = (1.0, 0.95, 0.9)
_GRID = (np.arange(PATHS) + 0.5) / PATHS

#: Kind and venue type; empty is any.
Group = tuple[str, str]
ALL: Group = ("", "")


@dataclass(frozen=True)
class Sample:
    """What was seen of a moment.

    `delay` is by how many minutes it started later than it could; `share` what it took of its planned length,
    NaN where that is not known; `late` by how many minutes it started after its plan.
    """

    kind: str
    venue: str
    delay: float
    share: float
    late: float


@dataclass(frozen=True)
class Fits:
    """Distributions by group, as quantiles: `delays` (groups, PATHS), `shares` (groups, HURRIES + 1, PATHS).

    `missing` is which share of reports is forgotten. `pace` says how much the moments of one day are alike in
    how long they take: the variance between days over that within them. `stretch` is by how much days differ
    more than is known of them.
    """

    groups: Mapping[Group, int]
    delays: Array
    shares: Array
    missing: float = 0.1
    stretch: float = 1.0
    pace: float = 0.0
    _rows: dict[Group, int] = field(default_factory=dict, compare=False, repr=False)

    def row(self, kind: str, venue: str) -> int:
        """Return where the distributions of a moment stand: those of the nearest group that is known."""
        group = (kind, venue)
        found = self._rows.get(group)
        if found is None:
            nearest = (group, (kind, ""), ALL)
            found = self._rows[group] = next(self.groups[one] for one in nearest if one in self.groups)
        return found


def prior() -> Fits:
    """Return what is taken to be so as long as nothing was learned.

    Delays of a minute at the median and five in one of ten, lengths within an eighth, less for who hurries:
    our assumption, so modest that it warns of nobody by itself, however long the timeline.
    """
    delays = np.quantile(np.random.default_rng(1).lognormal(0.0, 1.2, 4_000), _GRID)
    shares = np.quantile(np.random.default_rng(2).lognormal(0.0, 0.1, 4_000), _GRID)
    return Fits({ALL: 0}, _rows_of([delays]), _rows_of([[shares * less for less in _HURRIED]]))


def fit(samples: Iterable[Sample], *, missing: float | None = None) -> Fits:
    """Return the distributions of what was seen."""
    before, by_group = prior(), _grouped(samples)
    groups: dict[Group, int] = {ALL: 0}
    delays, shares = [before.delays[0]], [before.shares[0]]
    # Any kind first, then kinds: each is pooled with the one above it.
    for group in sorted(by_group, key=lambda one: sum(map(bool, one))):
        above = groups[_above(group)]
        delay, share = _distributions(by_group[group], delays[above], shares[above])
        if group == ALL:
            delays[0], shares[0] = delay, share
        else:
            groups[group] = len(delays)
            delays.append(delay)
            shares.append(share)
    known = before.missing if missing is None else missing
    return Fits(groups, _rows_of(delays), _rows_of(shares), missing=known)


def _grouped(samples: Iterable[Sample]) -> dict[Group, list[Sample]]:
    found: dict[Group, list[Sample]] = {}
    for one in samples:
        for group in (ALL, (one.kind, ""), (one.kind, one.venue)):
            found.setdefault(group, []).append(one)
    return found


def _distributions(own: Sequence[Sample], delays: Array, shares: Array) -> tuple[Array, Array]:
    """Return quantiles of delays, and of shares by how much somebody hurries, pooled with those above."""
    by_hurry: list[list[float]] = [[] for _ in shares]
    for one in own:
        by_hurry[hurry(one.late)].append(one.share)
    pooled = [_pooled(seen, above) for seen, above in zip(by_hurry, shares, strict=True)]
    return _pooled([one.delay for one in own], delays), _rows_of(pooled)


def hurry(late: float) -> int:
    """Return how much somebody hurries who is late by so many minutes: 0 to HURRIES."""
    return sum(late > by for by in HURRIES)


def _above(group: Group) -> Group:
    kind, venue = group
    return (kind, "") if venue else ALL


def _pooled(own: Sequence[float], above: Array) -> Array:
    """Return the quantiles of what was seen, together with those of the group above."""
    step = PATHS // PRIOR
    seen = np.concatenate([np.array(own), above[::step]])
    found: Array = np.nanquantile(seen, _GRID).astype(np.float32)
    return found


def _rows_of(rows: Sequence[object]) -> Array:
    return np.array(rows, dtype=np.float32)


def paced(fits: Fits, by_day: Iterable[Sequence[float]]) -> Fits:
    """Return fits that know how alike the moments of a day are: by their logs over what is usual, by day."""
    days = [np.array(one) for one in by_day if len(one) > 1]
    if len(days) < 2:
        return fits
    within = float(np.mean([one.var(ddof=1) for one in days]))
    means, many = np.array([one.mean() for one in days]), np.mean([len(one) for one in days])
    between = max(0.0, float(means.var(ddof=1) - within / many))
    return replace(fits, pace=between / within if within else 0.0)


def over_usual(fits: Fits, row: Numbers, late: Array, share: Array) -> Array:
    """Return the logs of how long moments took over what is usual of such."""
    hurries = sum((late > by).astype(np.intp) for by in HURRIES)
    usual = fits.shares[row, hurries, PATHS // 2]
    found: Array = np.log(np.clip(share / usual, 0.2, 5.0))
    return found


def stretched(fits: Fits, seen: Array, *, reach: float = 0.9) -> Fits:
    """Return fits whose days differ so that a share `reach` of what was seen lies below the upper bound.

    `seen` are (actual - p50) / (p90 - p50) of moments of past days, forecast with these fits.
    """
    return replace(fits, stretch=max(0.5, float(np.quantile(seen, reach)))) if len(seen) else fits
