"""Counting the events of objectives as their points are written.

What is bad is counted by ten seconds, by region and by wedding. What is good of a wedding waits in memory by
half minutes and is written by five minutes: nobody looks at a wedding that is well. Once it has a bad event,
all that waits is written by half minutes, and for two hours everything is counted by ten seconds.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Connection

from workers.foundation import partitions
from workers.foundation.rows import copy
from workers.measurements.rules.objectives import BY_SERIES, OBJECTIVES, are_bad
from workers.measurements.rules.samples import parts
from workers.measurements.rules.waiting import CLOSELY, COARSE, GRAIN, PIECE, PIECES, Rows, Waiting, sums
from workers.measurements.store import events
from workers.measurements.store.blocks import Points

NAMES = [one.name for one in OBJECTIVES]


class Counter:
    """Counts events in the transaction that writes their points.

    A process that dies takes with it the good events that wait, those of ten minutes at most; never bad ones.
    """

    def __init__(self) -> None:
        #: By series: the objective (-1: not known yet), whether all are bad, the region, the (objective,
        #: wedding) or -1.
        self._facts = np.full((4, 0), -1, "<i8")
        self._regions: dict[str, int] = {}
        self._pairs: dict[tuple[str, str], int] = {}
        self._kept = self._staged = Waiting()
        #: The position that the writer comes to with what is staged.
        self._position = ""
        self._newest = 0

    def keep(self) -> None:
        """Take what was counted last as counted: its transaction ended well."""
        self._kept, self._position = self._staged, ""

    def confirm(self, position: str) -> None:
        """Do so if its transaction ended well and nobody heard of it: the writer is where it led to."""
        if position == self._position:
            self.keep()

    def recall(self, db: Connection) -> None:
        """Learn which weddings are counted closely: somebody else counted until now, or nobody."""
        bad = events.lately_bad(db, timedelta(microseconds=CLOSELY))
        places = [self._pairs.setdefault(pair, len(self._pairs)) for pair in bad]
        self._kept = self._kept.grown(len(self._pairs))
        self._kept.closely[places] = [int(at.timestamp() * 1e6) + CLOSELY for at in bad.values()]

    def forget(self) -> None:
        """Forget series, and weddings of which nothing waits: those that come back are learned again."""
        pairs, now = list(self._pairs), self._newest
        both = [each.grown(len(pairs)) for each in (self._kept, self._staged)]
        left = np.flatnonzero(np.any([each.good.any(axis=1) | (each.closely > now) for each in both], axis=0))
        self._pairs = {pairs[place]: number for number, place in enumerate(left.tolist())}
        self._kept, self._staged = (
            replace(each, good=each.good[left], closely=each.closely[left]) for each in both
        )
        self._facts = np.full((4, 0), -1, "<i8")

    def count(self, db: Connection, texts: Sequence[str], rows: Points, position: str) -> None:
        """Count new points of objectives' series by their places in `texts`.

        `position` is where the writer is once the transaction ends well.
        """
        self._staged, self._position = self._kept, position
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
        found = sums(scope, at // GRAIN, bad)
        events.add_regions(
            db, [(NAMES[one % len(NAMES)], regions[one // len(NAMES)], *rest) for one, *rest in found]
        )

    def _of_weddings(self, db: Connection, pair: Points, at: Points, bad: Points) -> None:
        waiting = self._kept.grown(len(self._pairs))
        block = max(waiting.block, self._newest // COARSE)
        found = waiting.take_over(block)
        np.maximum.at(waiting.closely, pair[bad], at[bad] + CLOSELY)
        # What is late is of five minutes that are written.
        exact = (waiting.closely[pair] > at) | (at < (block - 1) * COARSE)
        found += sums(pair[exact], at[exact] // GRAIN, bad[exact])
        np.add.at(waiting.good, (pair[~exact], at[~exact] // PIECE % PIECES), 1)
        found += waiting.take_close(block, self._newest)
        self._staged = replace(waiting, block=block)
        self._append(db, found)

    def flush(self, db: Connection) -> None:
        """Write all that waits: nobody counts on."""
        self._staged = self._kept.grown(0)
        self._append(db, self._staged.take_over(self._staged.block + 3))

    def _append(self, db: Connection, found: Rows) -> None:
        pairs = list(self._pairs)
        rows = [
            (*pairs[place], datetime.fromtimestamp(at / 1e6, UTC), total, bad)
            for place, at, total, bad in found
        ]
        if rows:
            partitions.make(db, events.WEDDINGS, sorted({row[2].date() for row in rows}))
            copy(db, events.WEDDINGS, ("objective", "wedding_id", "at", "total", "bad"), rows)

    def _learn(self, texts: Sequence[str], ids: Points) -> None:
        if (highest := int(ids[-1])) >= self._facts.shape[1]:
            more = np.full((4, 2 * highest + 1 - self._facts.shape[1]), -1, "<i8")
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
