"""Events by grains of time, and good ones that wait to be written coarsely. Pure."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
#: In microseconds: the grain of what is looked at, of what waits, and of good events that nobody looks at;
#: how long a wedding is counted closely after a bad one (its longest window is an eighth of its length).
GRAIN, PIECE, COARSE, CLOSELY = 10_000_000, 30_000_000, 300_000_000, 7_200_000_000
#: Pieces that wait: of two times five minutes.
PIECES = 2 * COARSE // PIECE
#: (key, start in microseconds, events, bad ones).
Rows = list[tuple[int, int, int, int]]


@dataclass(frozen=True)
class Waiting:
    """Of each (objective, wedding): good events that are not written, and until when it is counted closely.

    `good` has a column for each piece of the five minutes `block`, counted since 1970, and of those before.
    """

    good: Array = field(default_factory=lambda: np.zeros((0, PIECES), "<i4"))
    closely: Array = field(default_factory=lambda: np.zeros(0, "<i8"))
    block: int = 0

    def grown(self, length: int) -> "Waiting":
        """Return a copy with a row for each of so many."""
        more = max(0, length - len(self.good))
        good = np.concatenate([self.good, np.zeros((more, PIECES), "<i4")])
        return replace(self, good=good, closely=np.concatenate([self.closely, np.zeros(more, "<i8")]))

    def take_over(self, block: int) -> Rows:
        """Take out what waits of five minutes that were over before those before `block`."""
        found: Rows = []
        for old in (self.block - 1, self.block):
            if old < block - 1:
                columns = np.arange(old * COARSE, (old + 1) * COARSE, PIECE) // PIECE % PIECES
                sums = self.good[:, columns].sum(axis=1)
                places = np.flatnonzero(sums)
                found += _rows(places, old * COARSE, sums[places])
                self.good[:, columns] = 0
        return found

    def take_close(self, block: int, newest: int) -> Rows:
        """Take out what waits of those that are counted closely, by pieces."""
        found: Rows = []
        places = np.flatnonzero((self.closely > newest) & self.good.any(axis=1))
        for start in range((block - 1) * COARSE, (block + 1) * COARSE, PIECE) if len(places) else ():
            counts = self.good[places, start // PIECE % PIECES]
            found += _rows(places[counts > 0], start, counts[counts > 0])
        self.good[places] = 0
        return found


def _rows(places: Array, at: int, counts: Array) -> Rows:
    return [(place, at, count, 0) for place, count in zip(places.tolist(), counts.tolist(), strict=True)]


def sums(keys: Array, grains: Array, bad: Array) -> Rows:
    """Return (key, start of the grain in microseconds, events, bad ones) for each key and grain."""
    both, places = np.unique(np.column_stack((keys, grains)), axis=0, return_inverse=True)
    totals = np.bincount(places.ravel(), minlength=len(both))
    wrong = np.bincount(places.ravel(), bad, len(both)).astype(int)
    rows = zip(
        both[:, 0].tolist(), (both[:, 1] * GRAIN).tolist(), totals.tolist(), wrong.tolist(), strict=True
    )
    return list(rows)
