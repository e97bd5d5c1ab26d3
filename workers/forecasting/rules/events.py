"""What a load that follows events is expected to be: its week, and what events of each kind added to it before. Pure.

Any load will do that is counted each minute, and any calendar whose events have a start, an end, a kind and a weight.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.weddings.rules import Wedding

Array = NDArray[np.float64]

#: Minutes.
DAY, WEEK = 1440, 10080
#: An event is felt so many minutes before it starts and after it ends; bins of five minutes, and 24 while it lasts.
BEFORE, AFTER, BIN, DURING = 180, 180, 5, 24
BINS = BEFORE // BIN + DURING + AFTER // BIN
#: What it adds fades in and out, so that nothing seems to fall off an edge.
_FADE = np.interp(np.arange(BINS), [0, 12, BINS - 25, BINS - 1], [0, 1, 1, 0])
#: Weeks and days ago, and how much they say: the day before says something only where no week does.
_AGO = ((WEEK, 1.0), (2 * WEEK, 0.7), (3 * WEEK, 0.5), (4 * WEEK, 0.35), (DAY, 0.06), (2 * DAY, 0.04), (3 * DAY, 0.02))
#: How much less an event says than the next one of its kind, and how many events the mean of all kinds is worth.
_OLDER, _POOLED = 0.85, 2.0
#: What is shorter is a rush, of which nothing is known before the first of its kind; a holiday is none.
_RUSH = 360


@dataclass(frozen=True)
class Event:
    """Something that draws people. Moments are minutes since 1970; nobody may use an event before it is `known_from`."""

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


def of_wedding(wedding: Wedding) -> Event:
    """Return a wedding as an event: its kind is the venue's, its weight the guests."""
    starts, ends = (int(edge.timestamp()) // 60 for edge in (wedding.starts_at, wedding.ends_at))
    return Event(starts, max(ends, starts + 1), wedding.venue_type, max(1.0, float(wedding.guest_count)))


@dataclass(frozen=True)
class Expectation:
    """What is expected of each minute from the load's first: its height, the phase, and how little is known of its events.

    `phase` is 0 without an event, 1 before, 2 during, 3 after one; `doubt` is 1 where an event is the first of its kind, less
    with each that was seen, 0 without one.
    """

    load: Array
    phase: NDArray[np.int64]
    doubt: Array


def expect(load: Array, start: int, events: Iterable[Event], *, ahead: int) -> Expectation:
    """Return what is expected of the minutes that were seen, from minute `start` on, and of `ahead` minutes more."""
    now, minutes = start + len(load), len(load) + ahead
    known = sorted((one for one in events if one.known_from <= now), key=lambda one: one.start)
    spans = [(one, *_span(one, start, minutes)) for one in known]
    spans = [(one, first, last) for one, first, last in spans if first < last]
    quiet, pull = np.ones(minutes), np.zeros(minutes)
    for one, first, last in spans:
        quiet[first:last] = 0.0
        pull[first:last] += one.weight
    base = _week(load, quiet[: len(load)], minutes)
    shapes = _shapes(load, base, pull, [one for one in known if _whole(one, start, now)], start)
    expected, phase, doubt = base.copy(), np.zeros(minutes, np.int64), np.zeros(minutes)
    for one, first, last in spans:
        bins = one.bins(np.arange(start + first, start + last))
        shape, seen = shapes.get(one.kind, shapes.get("", (np.zeros(BINS), 0.0)))
        expected[first:last] += one.weight * shape[bins]
        here = 1 + (bins >= BEFORE // BIN) + (bins >= BEFORE // BIN + DURING)
        phase[first:last] = np.maximum(phase[first:last], here)
        if one.end - one.start <= _RUSH:
            near = slice(max(0, one.start - 60 - start), max(0, one.end + 30 - start))
            doubt[near] = np.maximum(doubt[near], 1.0 / (1.0 + seen))
    return Expectation(np.maximum(expected, 0.0), phase, doubt)


def _span(event: Event, start: int, minutes: int) -> tuple[int, int]:
    return max(0, event.start - BEFORE - start), min(minutes, event.end + AFTER - start)


def _whole(event: Event, start: int, now: int) -> bool:
    return event.start - BEFORE >= start and event.end + AFTER <= now


def _week(load: Array, quiet: Array, minutes: int) -> Array:
    """Return the mean of the same minute in the weeks before, without events; of all that was seen where there is none."""
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


def _shapes(load: Array, base: Array, pull: Array, past: Sequence[Event], start: int) -> dict[str, tuple[Array, float]]:
    """Return by kind what a weight of 1 added in each bin, and how many such events were seen; all kinds together under "".

    A kind's mean is drawn towards that of all kinds with the weight of `_POOLED` events. Where events overlap, what was added
    is shared by their weights.
    """
    by_kind: dict[str, list[Array]] = {}
    for one in past:
        at = np.arange(one.start - BEFORE - start, one.end + AFTER - start)
        bins = one.bins(at + start)
        added = np.bincount(bins, (load[at] - base[at]) / pull[at], BINS)
        by_kind.setdefault(one.kind, []).append(added / np.maximum(1, np.bincount(bins, minlength=BINS)))
    if not by_kind:
        return {}
    everything = _recent_first([shape for shapes in by_kind.values() for shape in shapes])
    pooled = everything[0] / everything[1] * _FADE
    found = {"": (pooled, 0.5 * len(past))}
    for kind, shapes in by_kind.items():
        total, weight = _recent_first(shapes)
        mean = (total * _FADE + _POOLED * pooled) / (weight + _POOLED)
        found[kind] = (mean, len(shapes) + 0.5 * (len(past) - len(shapes)))
    return found


def _recent_first(shapes: Sequence[Array]) -> tuple[Array, float]:
    weights: Array = _OLDER ** np.arange(len(shapes), dtype=np.float64)[::-1]
    return weights @ np.array(shapes), float(weights.sum())
