"""When a year's bookings or load change their level. Pure.

Optimal partitioning (Jackson et al. 2005) of weekly counts with a Poisson cost: of all ways to cut the year
into spans of one level each, the one whose loss plus a penalty a cut is least. A cut is cheaper where the
calendar expects one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Weddings come in weekends and bookings in waves: counts scatter about three times as much as Poisson's.
_SCATTER = 3.0
#: A level lasts so many weeks at least.
SHORTEST = 3


def levels(
    counts: Sequence[float], expected_cuts: Sequence[int] = (), *, penalty: float | None = None
) -> list[slice]:
    """Return the spans of weeks of one level each, in order.

    `expected_cuts` are the weeks at which the calendar cuts. `penalty` is what a cut costs, by default 2 log
    n (BIC for a place and a level); an expected cut costs half.
    """
    seen = np.asarray(counts, np.float64)
    if not (np.isfinite(seen) & (seen >= 0)).all():
        raise ValueError("counts must be finite and 0 or more")
    weeks, price = len(seen), 2 * np.log(max(2, len(seen))) if penalty is None else penalty
    sums, cheaper = np.concatenate([[0.0], np.cumsum(seen)]), set(expected_cuts)
    best, cut_before = np.full(weeks + 1, np.inf), np.zeros(weeks + 1, np.int64)
    best[0] = -price
    for end in range(1, weeks + 1):
        # All weeks together are a span however few they are.
        starts = np.arange(max(1, end - SHORTEST + 1) if end == weeks else max(0, end - SHORTEST + 1))
        if not len(starts):
            continue
        prices = np.where([_near(int(start), cheaper) for start in starts], price / 2, price)
        losses = best[starts] + _loss(sums[end] - sums[starts], end - starts) + prices
        best[end], cut_before[end] = losses.min(), starts[int(losses.argmin())]
    return _spans(cut_before, weeks)


def _near(week: int, expected: set[int]) -> bool:
    return bool({week - 1, week, week + 1} & expected)


def _loss(total: Array, weeks: NDArray[np.int64]) -> Array:
    """Return minus the log-likelihood of spans at their own level, but for what all cuts share."""
    mean = np.maximum(total / weeks, 1e-9)
    loss: Array = -total * np.log(mean) / _SCATTER
    return loss


def _spans(cut_before: NDArray[np.int64], weeks: int) -> list[slice]:
    spans, end = [], weeks
    while end > 0:
        start = int(cut_before[end])
        spans.append(slice(start, end))
        end = start
    return spans[::-1]
