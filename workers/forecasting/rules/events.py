"""What a load that follows events is expected to be.

Its week, and what events of each kind added to it before. Pure. Any load will do that is counted each minute,
and any calendar whose events have a start, an end, a kind and a weight.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.weddings.rules.calendar import Wedding

Array = NDArray[np.float64]

#: Minutes.
DAY, WEEK = 1440, 10080
#: An event is felt so many minutes before it starts and after it ends; bins of five minutes, and 24 while it
#: lasts.
BEFORE, AFTER, BIN, DURING = 180, 180, 5, 24
BINS = BEFORE // BIN + DURING + AFTER // BIN
#: What it adds fades in and out, so that nothing seems to fall off an edge.
_FADE = np.interp(np.arange(BINS), [0, 12, BINS - 25, BINS - 1], [0, 1, 1, 0])
#: Weeks and days ago, and how much they say: the day before says something only where no week does.
_AGO = (
    (WEEK, 1.0),
    (2 * WEEK, 0.7),
    (3 * WEEK, 0.5),
    (4 * WEEK, 0.35),
    (DAY, 0.06),
    (2 * DAY, 0.04),
    (3 * DAY, 0.02),
)
#: How much less an event says than the next one of its kind, and how many events the mean of all kinds is
#: worth.
_OLDER, _POOLED, _LITTLE = 0.85, 2.0, 1e-9
#: The most that was seen is of so many events, and of so many bins to either side.
_NEWEST, _NEAR = 30, 6
#: What is shorter is a rush, of which nothing is known before the first of its kind; a holiday is none.
_RUSH = 360


@dataclass(frozen=True)
class Event:
    """Something that draws people.

    Moments are minutes since 1970; nobody may use an event before it is `known_from`.
    """

    start: int
    end: int
    kind: str
    weight: float = 1.0
    known_from: int = 0

    def __post_init__(self) -> None:
        """Refuse what can't be laid over a load."""
        if self.end <= self.start:
            raise ValueError("end must be after start")
        if not 0 < self.weight < float("inf"):
            raise ValueError("weight must be above 0 and finite")

    def bins(self, minutes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bin of each minute, from BEFORE its start to AFTER its end."""
        during = BEFORE // BIN + (minutes - self.start) * DURING // (self.end - self.start)
        after = BEFORE // BIN + DURING + (minutes - self.end) // BIN
        before = (minutes - self.start + BEFORE) // BIN
        return np.where(minutes < self.start, before, np.where(minutes < self.end, during, after))


#: A wedding counts as so many guests at least: one whose guests nobody entered must not teach what each of
#: them brings.
SMALLEST = 50.0


def of_wedding(wedding: Wedding) -> Event:
    """Return a wedding as an event: its kind is the venue's, its weight the guests."""
    starts, ends = (int(edge.timestamp()) // 60 for edge in (wedding.starts_at, wedding.ends_at))
    return Event(starts, max(ends, starts + 1), wedding.venue_type, max(SMALLEST, float(wedding.guest_count)))


@dataclass(frozen=True)
class Expectation:
    """What is expected of each minute from the load's first.

    Its height, the phase, and how little is known of its events. `high` is as much as such an event ever
    brought within half an hour of that minute. `phase` is 0 without an event, 1 before, 2 during, 3 after
    one; `doubt` is 1 where an event is the first of its kind, less with each that was seen, 0 without one.
    """

    load: Array
    high: Array
    phase: NDArray[np.int64]
    doubt: Array


@dataclass(frozen=True)
class _Laid:
    """An event over a load's minutes, from `first` to before `last`.

    `row` is its place among those that were seen whole.
    """

    event: Event
    first: int
    last: int
    bins: NDArray[np.int64]
    row: int | None


def expect(load: Array, start: int, events: Iterable[Event], *, ahead: int) -> Expectation:
    """Return what is expected from minute `start` on, and for `ahead` minutes after what was seen.

    Of an event that was seen the others say what was expected: who learns from the past finds it as little
    sure as what comes.
    """
    minutes = len(load) + ahead
    laid = _lay(events, start, len(load), minutes)
    base, shapes = _learn(load, minutes, laid)
    expected, high, phase, doubt = (
        base.copy(),
        np.zeros(minutes),
        np.zeros(minutes, np.int64),
        np.zeros(minutes),
    )
    for one in laid:
        mean, highest, seen = shapes.of(one.event.kind, one.row)
        felt = slice(one.first, one.last)
        expected[felt] += one.event.weight * mean[one.bins]
        high[felt] = np.maximum(high[felt], one.event.weight * highest[one.bins])
        here = 1 + (one.bins >= BEFORE // BIN) + (one.bins >= BEFORE // BIN + DURING)
        phase[felt] = np.maximum(phase[felt], here)
        if one.event.end - one.event.start <= _RUSH:
            # A mean of so many is wrong by the root of that.
            near = slice(max(0, one.event.start - 60 - start), max(0, one.event.end + 30 - start))
            doubt[near] = np.maximum(doubt[near], (1.0 + seen) ** -0.5)
    return Expectation(np.maximum(expected, 0.0), base + high, phase, doubt)


def _lay(events: Iterable[Event], start: int, seen: int, minutes: int) -> list[_Laid]:
    laid, whole = [], 0
    for one in sorted((one for one in events if one.known_from <= start + seen), key=lambda one: one.start):
        from_, to = one.start - BEFORE - start, one.end + AFTER - start
        first, last = max(0, from_), min(minutes, to)
        if first < last:
            row = whole if from_ >= 0 and to <= seen else None
            whole += row is not None
            laid.append(_Laid(one, first, last, one.bins(np.arange(start + first, start + last)), row))
    return laid


def _learn(load: Array, minutes: int, laid: Sequence[_Laid]) -> tuple[Array, "_Shapes"]:
    """Return what is expected without events, and what those that were seen added to it."""
    quiet, pull = np.ones(minutes), np.zeros(minutes)
    for one in laid:
        felt = slice(one.first, one.last)
        # As an event fades in, its minutes fade out of the week: no edge is left where one week's mean takes
        # another's place.
        quiet[felt] = np.minimum(quiet[felt], 1 - _FADE[one.bins])
        pull[felt] += one.event.weight
    base = _week(load, quiet[: len(load)], minutes)
    past = [one for one in laid if one.row is not None]
    added = np.zeros((len(past), BINS))
    for row, one in enumerate(past):
        # Where events overlap, what was added is shared by their weights.
        felt = slice(one.first, one.last)
        sums = np.bincount(one.bins, (load[felt] - base[felt]) / pull[felt], BINS)
        added[row] = sums / np.maximum(1, np.bincount(one.bins, minlength=BINS))
    return base, _Shapes(added, [one.event.kind for one in past])


def _week(load: Array, quiet: Array, minutes: int) -> Array:
    """Return the mean of the same minute in the weeks before, without events.

    Of all that was seen where there is none.
    """
    smooth, total, weight = _smooth(load, 7), np.zeros(minutes), np.zeros(minutes)
    for ago, says in _AGO:
        last = min(minutes, len(load) + ago)
        if last > ago:
            total[ago:last] += says * (smooth * quiet)[: last - ago]
            weight[ago:last] += says * quiet[: last - ago]
    return np.where(weight > 0, total / np.maximum(weight, 1e-9), load.mean())


def _smooth(values: Array, half: int) -> Array:
    sums, at = np.concatenate([[0.0], np.cumsum(values)]), np.arange(len(values))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    means: Array = (sums[last] - sums[first]) / (last - first)
    return means


class _Shapes:
    """What a weight of 1 added in each bin, by events that were seen, the oldest first.

    A kind's mean is drawn towards that of all kinds with the weight of `_POOLED` events.
    """

    def __init__(self, added: Array, kinds: Sequence[str]) -> None:
        self._added, self._all = added, _recent_first(np.ones(len(kinds), bool))
        of_kind = {kind: np.array([one == kind for one in kinds]) for kind in set(kinds)}
        self._kinds = {kind: _recent_first(rows) for kind, rows in of_kind.items()}
        self._sums = {kind: says @ added for kind, says in self._kinds.items()}
        self._sum = self._all @ added
        self._highest = {kind: _highest(added[rows]) for kind, rows in of_kind.items()}
        self._highest_of_all = _highest(added)

    def of(self, kind: str, row: int | None) -> tuple[Array, Array, float]:
        """Return a kind's mean in each bin without the event of that row, the most of any, their number.

        The most has the event of that row too: without it the learner took a record for what happens, and
        gave less room.
        """
        nothing, none = np.zeros(BINS), np.zeros(len(self._added))
        says = self._kinds.get(kind, none)
        pooled, weight = self._without(self._sum, self._all, row)
        pooled = pooled / weight * _FADE if weight > _LITTLE else nothing
        total, weight = self._without(self._sums.get(kind, nothing), says, row)
        mean = (total * _FADE + _POOLED * pooled) / (weight + _POOLED)
        others, alike = len(self._added) - (row is not None), int((says > 0).sum()) - (row is not None)
        return mean, self._highest.get(kind, self._highest_of_all), 0.5 * (others + alike)

    def _without(self, total: Array, says: Array, row: int | None) -> tuple[Array, float]:
        weight = float(says.sum())
        return (
            (total, weight)
            if row is None
            else (total - says[row] * self._added[row], weight - float(says[row]))
        )


def _recent_first(rows: NDArray[np.bool_]) -> Array:
    """Return how much each of those rows says, the newest 1; the others nothing."""
    newer = np.cumsum(rows[::-1])[::-1] - 1
    return np.where(rows, _OLDER ** np.maximum(newer, 0.0), 0.0)


def _highest(added: Array) -> Array:
    """Return the most that any of the newest added within half an hour of each bin."""
    padded = np.pad(np.maximum(added[-_NEWEST:].max(axis=0, initial=0.0), 0.0) * _FADE, _NEAR)
    highest: Array = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEAR + 1).max(axis=1)
    return highest
