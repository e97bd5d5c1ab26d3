"""Counting the events of objectives as their points are written.

What is bad is counted by ten seconds, by region and by wedding. What is good of a wedding is counted by five
minutes: nobody looks at a wedding that is well. For an hour after a bad event it is counted by ten seconds,
too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection

from workers.foundation import partitions
from workers.foundation.rows import copy
from workers.measurements.rules.objectives import BY_SERIES, OBJECTIVES, are_bad
from workers.measurements.rules.samples import parts
from workers.measurements.store import events
from workers.measurements.store.blocks import Points

#: In microseconds: the grain of what is looked at, of the good events of a wedding, and how long a wedding is
#: looked at after a bad one.
GRAIN, COARSE, CLOSELY = 10_000_000, 300_000_000, 3_600_000_000
NAMES = [one.name for one in OBJECTIVES]


@dataclass(frozen=True)
class Waiting:
    """Of each (objective, wedding): good events not written, since when, and until when to count closely.

    Moments are in microseconds since 1970.
    """

    good: Points = field(default_factory=lambda: np.zeros(0, "<i8"))
    since: Points = field(default_factory=lambda: np.zeros(0, "<i8"))
    closely: Points = field(default_factory=lambda: np.zeros(0, "<i8"))

    def grown(self, length: int) -> "Waiting":
        """Return it with a place for each of so many."""
        more = np.zeros(max(0, length - len(self.good)), "<i8")
        return Waiting(*(np.concatenate([each, more]) for each in (self.good, self.since, self.closely)))


class Counter:
    """Counts events in the transaction that writes their points.

    A process that dies takes the good events of five minutes with it that it has not written; never bad ones.
    """

    def __init__(self) -> None:
        #: By series id: the objective (-1: not known yet), whether all are bad, the region, the (objective,
        #: wedding) or -1.
        self._facts = np.full((4, 1024), -1, "<i8")
        self._regions: dict[str, int] = {}
        self._pairs: dict[tuple[str, str], int] = {}
        self._kept = self._staged = Waiting()
        self._newest = 0

    def keep(self) -> None:
        """Take what was counted last as counted: its transaction ended well."""
        self._kept = self._staged

    def recall(self, db: Connection) -> None:
        """Learn which weddings are counted closely: somebody else counted until now, or nobody."""
        bad = events.lately_bad(db, timedelta(microseconds=CLOSELY))
        places = [self._pairs.setdefault(pair, len(self._pairs)) for pair in bad]
        self._kept = self._kept.grown(len(self._pairs))
        self._kept.closely[places] = [int(at.timestamp() * 1e6) + CLOSELY for at in bad.values()]

    def forget(self) -> None:
        """Forget series, and weddings of which nothing waits: those that come back are learned again."""
        kept, pairs = self._kept, list(self._pairs)
        left = np.flatnonzero((kept.good > 0) | (kept.closely > self._newest))
        self._pairs = {pairs[place]: number for number, place in enumerate(left.tolist())}
        self._kept = self._staged = Waiting(kept.good[left], kept.since[left], kept.closely[left])
        self._facts[:] = -1

    def count(self, db: Connection, texts: Mapping[int, str], rows: Points) -> None:
        """Count new points of objectives' series; `texts` has the series' by id."""
        self._staged = self._kept
        if not len(rows):
            return
        self._newest = max(self._newest, int(rows["at"].max()))
        self._learn(texts, np.unique(rows["series"]))
        objective, failed, region, pair = self._facts[:, rows["series"]]
        bad = are_bad(objective, rows["value"], failed > 0)
        self._of_regions(db, region * len(NAMES) + objective, rows["at"], bad)
        own = pair >= 0
        self._of_weddings(db, pair[own], rows["at"][own], bad[own])

    def _of_regions(self, db: Connection, scope: Points, at: Points, bad: Points) -> None:
        regions = list(self._regions)
        found = _sums(scope, at // GRAIN, bad)
        events.add_regions(
            db, [(NAMES[one % len(NAMES)], regions[one // len(NAMES)], *rest) for one, *rest in found]
        )

    def _of_weddings(self, db: Connection, pair: Points, at: Points, bad: Points) -> None:
        waiting = self._kept.grown(len(self._pairs))
        np.maximum.at(waiting.closely, pair[bad], at[bad] + CLOSELY)
        close = waiting.closely[pair] > at
        found = _sums(pair[close], at[close] // GRAIN, bad[close])
        good = np.bincount(pair[~close], minlength=len(waiting.good))
        newest = self._newest
        waiting = replace(
            waiting,
            good=waiting.good + good,
            since=np.where((waiting.good == 0) & (good > 0), newest, waiting.since),
        )
        late = (waiting.good > 0) & ((waiting.since <= newest - COARSE) | (waiting.closely > newest))
        places = np.flatnonzero(late)
        found += [
            (place, since // GRAIN * GRAIN, count, 0)
            for place, since, count in zip(
                places.tolist(), waiting.since[places].tolist(), waiting.good[places].tolist(), strict=True
            )
        ]
        waiting.good[places] = 0
        self._staged = waiting
        pairs = list(self._pairs)
        _append(db, [(*pairs[place], *rest) for place, *rest in found])

    def _learn(self, texts: Mapping[int, str], ids: Points) -> None:
        if (highest := int(ids[-1])) >= self._facts.shape[1]:
            more = np.full((4, 2 * highest - self._facts.shape[1]), -1, "<i8")
            self._facts = np.concatenate([self._facts, more], axis=1)
        for own in ids[self._facts[0, ids] < 0].tolist():
            name, labels = parts(texts[own])
            objective, wedding = BY_SERIES[name], labels.get("wedding_id")
            pair = (OBJECTIVES[objective].name, wedding) if wedding else None
            self._facts[:, own] = (
                objective,
                labels.get("outcome") == "failed",
                self._regions.setdefault(labels.get("region", ""), len(self._regions)),
                self._pairs.setdefault(pair, len(self._pairs)) if pair else -1,
            )


def _sums(keys: Points, grains: Points, bad: Points) -> list[tuple[int, int, int, int]]:
    """Return (key, start of the grain in microseconds, events, bad ones) for each key and grain."""
    both, places = np.unique(np.column_stack((keys, grains)), axis=0, return_inverse=True)
    totals = np.bincount(places.ravel(), minlength=len(both))
    wrong = np.bincount(places.ravel(), bad, len(both)).astype(int)
    rows = zip(
        both[:, 0].tolist(), (both[:, 1] * GRAIN).tolist(), totals.tolist(), wrong.tolist(), strict=True
    )
    return list(rows)


def _append(db: Connection, found: Iterable[tuple[Any, ...]]) -> None:
    rows = [
        (objective, wedding, datetime.fromtimestamp(at / 1e6, UTC), total, bad)
        for objective, wedding, at, total, bad in found
    ]
    if rows:
        partitions.make(db, events.WEDDINGS, sorted({row[2].date() for row in rows}))
        copy(db, events.WEDDINGS, ("objective", "wedding_id", "at", "total", "bad"), rows)
