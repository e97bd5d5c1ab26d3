"""Which share of a wedding's guests and vendors are connected, by phase and venue; learned from past weddings. Pure.

Bayesian linear regression with a normal prior on each share's ratio to what was assumed (Gelman et al., Bayesian Data Analysis,
ch. 14-15), twice: all regions together, drawn to the assumptions; then each region, drawn to the whole. So a venue or region
that was rarely seen has the whole's shares, and one that was often seen its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.weddings.rules import Phase, VenueType, Wedding

Array = NDArray[np.float64]

PHASES = (Phase.SETUP, Phase.CEREMONY, Phase.RECEPTION, Phase.WIND_DOWN)
VENUES = tuple(VenueType)
#: A share is within about so much of what was assumed, and of what the whole has.
_WHOLE, _OWN = 0.4, 0.2
#: One wedding is seen for hours: so many samples of it say no more than one.
_REPEATED = 10.0
HOURS = 168


@dataclass(frozen=True)
class Shares:
    """`guests` by phase and venue, `vendors` by phase; `spread` is one wedding's standard deviation as a share of its load.

    `base` is the load without any wedding, by hour of the local week, Monday first.
    """

    guests: Array
    vendors: Array
    spread: float
    base: Array

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
    """A region's past, a row a sample: `guests` (samples, phases, venues) and `vendors` (samples, phases) that were due then.

    `hosts` are the couples and planners, `squares` the sum over weddings of their squared expected load, `hours` the hour of
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
    together = Seen(*(np.concatenate([getattr(seen, name) for seen in regions.values()]) for name in Seen.__dataclass_fields__))
    whole = _learn(assumed, together, _WHOLE)
    return whole, {region: _learn(whole, seen, _OWN) for region, seen in regions.items()}


def _learn(prior: Shares, seen: Seen, deviation: float) -> Shares:
    flat = np.concatenate([prior.guests.ravel(), prior.vendors])
    due = np.hstack([seen.guests.reshape(len(seen.load), -1), seen.vendors]) * flat
    base = _base(prior.base, seen, due.sum(axis=1) + seen.hosts)
    rest = seen.load - seen.hosts - base[seen.hours] - due.sum(axis=1)
    # A count scatters like Poisson's at least, and each wedding by its own share.
    variance = np.maximum(1.0 + due.sum(axis=1) + prior.spread**2 * seen.squares, 1.0) * _REPEATED
    weighted = due / variance[:, None]
    change = np.linalg.solve(due.T @ weighted + np.eye(len(flat)) / deviation**2, weighted.T @ rest)
    ratio = np.clip(1.0 + change, 0.2, 3.0)
    cut = prior.guests.size
    shares = (flat * ratio)[:cut].reshape(prior.guests.shape), (flat * ratio)[cut:]
    return Shares(*shares, _spread(prior.spread, rest - due @ (ratio - 1.0), seen.squares), base)


def _base(prior: Array, seen: Seen, expected: Array) -> Array:
    """Return the load by hour of the week where no wedding was due, drawn to the prior with the weight of two samples."""
    quiet = expected < 1.0
    many = np.bincount(seen.hours[quiet], minlength=HOURS)
    total = np.bincount(seen.hours[quiet], seen.load[quiet], HOURS)
    found: Array = (total + 2 * prior) / (many + 2)
    return found


def _spread(prior: float, rest: Array, squares: Array) -> float:
    """Return one wedding's scatter: what is left over a sum of squared loads, drawn to the prior as by 50 samples."""
    busy = squares > 1.0
    if not busy.any():
        return prior
    ratio = rest[busy] ** 2 / squares[busy]
    many = float(busy.sum()) / _REPEATED
    return float(np.clip(np.sqrt((ratio.mean() * many + prior**2 * 50) / (many + 50)), 0.05, 2.0))
