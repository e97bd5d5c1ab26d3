"""Which share of a wedding's guests and vendors are connected, by phase and venue.

Learned from past weddings. Pure. Bayesian linear regression with a normal prior on each share's ratio to what
was assumed (Gelman et al., Bayesian Data Analysis, ch. 14-15), twice: all regions together, drawn to the
assumptions; then each region, drawn to the whole. So a venue or region that was rarely seen has the whole's
shares, and one that was often seen its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from workers.weddings.rules.calendar import Phase, VenueType, Wedding

Array = NDArray[np.float64]

PHASES = (Phase.SETUP, Phase.CEREMONY, Phase.RECEPTION, Phase.WIND_DOWN)
VENUES = tuple(VenueType)
#: A share is within about so much of what was assumed, and of what the whole has.
_WHOLE, _OWN = 0.4, 0.2
#: One wedding is seen for hours: so many samples of it say no more than one.
_REPEATED = 10.0
HOURS = 168
#: What is forecast, and the standard normal's quantiles: to begin with, for a region's load is a sum over
#: many weddings.
QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99}
NORMAL = np.array([-1.2816, 0.0, 1.2816, 2.3263])
#: From so many people on, a level says something about how far it is off.
_BUSY = 20.0
#: Beyond so many standard deviations no quantile is believed: what was measured is wrong there.
_Z = (np.array([-4.0, -0.5, 0.5, 1.0]), np.array([-0.5, 0.5, 4.0, 6.0]))
#: The prior of the base weighs as much as one sample in an hour at which fifty people are expected.
_BASE = 0.02


@dataclass(frozen=True)
class Shares:
    """`guests` by phase and venue, `vendors` by phase.

    `spread` is one wedding's standard deviation as a share of its load. `common` is how far all weddings of a
    moment are off together; `base` is the load without any wedding, by hour of the local week, Monday first;
    `z` are the quantiles QUANTILES in standard deviations.
    """

    guests: Array
    vendors: Array
    spread: float
    common: float
    base: Array
    z: Array = field(default_factory=NORMAL.copy)

    def deviation(self, level: Array, squares: Array) -> Array:
        """Return the standard deviation of loads whose weddings make `level`, by the sum of their squares."""
        # Each person is there or not: a count scatters like Poisson's besides.
        found: Array = np.sqrt(np.maximum(level + self.spread**2 * squares + (self.common * level) ** 2, 1.0))
        return found

    def present(self, weddings: Sequence[Wedding], phase: Phase, hosts: float) -> Array:
        """Return how many people of each wedding are connected in a phase, on average."""
        if phase not in PHASES:
            return np.zeros(len(weddings))
        row = PHASES.index(phase)
        guests = np.array([wedding.guest_count for wedding in weddings], float)
        vendors = np.array([len(wedding.supplier_ids) for wedding in weddings], float)
        venues = np.array([VENUES.index(wedding.venue_type) for wedding in weddings], np.int64)
        found: Array = guests * self.guests[row][venues] + vendors * self.vendors[row] + hosts
        return found


@dataclass(frozen=True)
class Seen:
    """A region's past, a row a sample.

    `guests` (samples, phases, venues) and `vendors` (samples, phases) that were due then. `hosts` are the
    couples and planners, `squares` the sum over weddings of their squared expected load, `hours` the hour of
    the local week, `load` what was measured.
    """

    guests: Array
    vendors: Array
    hosts: Array
    squares: Array
    hours: NDArray[np.int64]
    load: Array


def learn(assumed: Shares, regions: Mapping[str, Seen]) -> tuple[Shares, dict[str, Shares]]:
    """Return what the regions teach together, and each one's own shares."""
    if not regions:
        return assumed, {}
    # What a region has besides weddings is its own: shares are what all have in common.
    alike = [_without_base(assumed, seen) for seen in regions.values()]
    together = Seen(
        *(np.concatenate([getattr(seen, name) for seen in alike]) for name in Seen.__dataclass_fields__)
    )
    whole = replace(_learn(assumed, together, _WHOLE), base=assumed.base)
    return whole, {region: _learn(whole, seen, _OWN) for region, seen in regions.items()}


def _without_base(assumed: Shares, seen: Seen) -> Seen:
    own = _learn(assumed, seen, _WHOLE)
    return replace(seen, load=seen.load - own.base[seen.hours])


def _learn(prior: Shares, seen: Seen, deviation: float) -> Shares:
    flat = np.concatenate([prior.guests.ravel(), prior.vendors])
    due = np.hstack([seen.guests.reshape(len(seen.load), -1), seen.vendors]) * flat
    level = due.sum(axis=1) + seen.hosts
    variance = prior.deviation(level, seen.squares) ** 2
    base = _base(prior.base, seen, seen.load - level, variance)
    weighted = due / variance[:, None] / _REPEATED
    rest = seen.load - level - base[seen.hours]
    change = np.linalg.solve(due.T @ weighted + np.eye(len(flat)) / deviation**2, weighted.T @ rest)
    ratio = np.clip(1.0 + change, 0.2, 3.0)
    rest -= due @ (ratio - 1.0)
    again = _base(prior.base, seen, rest + base[seen.hours], variance)
    rest += base[seen.hours] - again[seen.hours]
    cut, shape = prior.guests.size, prior.guests.shape
    spread, common = _scatter(prior, rest, level, seen.squares)
    found = Shares((flat * ratio)[:cut].reshape(shape), (flat * ratio)[cut:], spread, common, again)
    return replace(
        found, z=_quantiles(prior.z, rest / found.deviation(level + again[seen.hours], seen.squares))
    )


def _quantiles(prior: Array, scores: Array) -> Array:
    """Return the quantiles of standardised residuals, drawn to the prior as by 200 samples.

    Few people are no normal crowd.
    """
    if not len(scores):
        return prior
    found: Array = (len(scores) * np.quantile(scores, list(QUANTILES.values())) + 200 * prior) / (
        len(scores) + 200
    )
    return np.maximum.accumulate(np.clip(found, *_Z))


def _base(prior: Array, seen: Seen, rest: Array, variance: Array) -> Array:
    """Return what is there besides weddings by hour of the week.

    Hours that are always busy say little of it: they are drawn to the same hour of other days, and all a
    little to the prior.
    """
    certain = (1.0 + prior[seen.hours]) / variance
    total, weight = (np.bincount(seen.hours, values, HOURS) for values in (rest * certain, certain))
    day, known = (np.tile(values.reshape(7, 24).sum(axis=0), 7) for values in (total, weight))
    usual = (day + _BASE * prior) / (known + _BASE)
    found: Array = np.maximum((total + 5 * _BASE * usual) / (weight + 5 * _BASE), 0.0)
    return found


def _scatter(prior: Shares, rest: Array, level: Array, squares: Array) -> tuple[float, float]:
    """Return one wedding's scatter and that of all together, as shares.

    What is left, squared and over the squared level, is a line in how much of the level few weddings make:
    its slope is the one, its intercept the other. Drawn to the prior as by 50 samples.
    """
    busy = level >= _BUSY
    x, y = squares[busy] / level[busy] ** 2, rest[busy] ** 2 / level[busy] ** 2
    # A ratio of squares has a long tail: what one strange day says must not count for all.
    y = np.minimum(y, 10 * np.quantile(y, 0.9)) if len(y) else y
    known = 50.0 * _REPEATED
    grid = np.concatenate([x, [0.0, 0.2]]), np.concatenate([np.ones(len(x)), [known / 2, known / 2]])
    values = np.concatenate([y, prior.common**2 + prior.spread**2 * np.array([0.0, 0.2])])
    mean_x, mean_y = np.average(grid[0], weights=grid[1]), np.average(values, weights=grid[1])
    slope = np.average((grid[0] - mean_x) * (values - mean_y), weights=grid[1]) / np.average(
        (grid[0] - mean_x) ** 2, weights=grid[1]
    )
    spread, common = np.sqrt(max(slope, 0.0)), np.sqrt(max(mean_y - max(slope, 0.0) * mean_x, 0.0))
    return float(np.clip(spread, 0.05, 2.0)), float(np.clip(common, 0.0, 1.0))
