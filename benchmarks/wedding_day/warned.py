"""How many late moments are warned of, how early, and how often wrongly: ours and two simpler ways."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np

from benchmarks.wedding_day.worlds import EVERY, FIRST, LAST, Played, played
from workers.wedding_day.rules import course
from workers.wedding_day.rules.course import Course, Day
from workers.wedding_day.rules.deviations import Policy, ancestors
from workers.wedding_day.rules.fitting import Fits
from workers.wedding_day.usecases.learning import fitted

#: In minutes: what is late by so much more is no matter of a minute.
MORE = 5.0
#: How sure a way is, by critical moment's place, that it will be late.
Way = Callable[[Sequence[Day]], list[dict[int, float]]]


@dataclass
class Surest:
    """By (day, moment): when a way was how sure, whenever it was surer than before."""

    found: dict[tuple[int, int], list[tuple[int, float]]] = field(default_factory=dict)

    def note(self, key: tuple[int, int], minute: int, sure: float) -> None:
        """Keep it when it is surer."""
        own = self.found.setdefault(key, [])
        if not own or sure > own[-1][1]:
            own.append((minute, sure))


def measure(
    many: int, past: int, seed: int, forgotten: float, policy: Policy
) -> tuple[dict[str, float], dict[str, dict[str, float]], dict[str, Any]]:
    """Return our figures, those of the peers, and details."""
    before = [one.day(1e9) for one in played(past, seed + 1, forgotten)]
    fits = fitted(before, policy)
    late_by = policy.late_by.total_seconds() / 60
    ways = _ways(before, fits, late_by)
    world = played(many, seed, forgotten)
    surest, covered = _watch(world, ways, fits, late_by)
    own = surest.pop("ours")
    ours = _figures(world, own, policy.warn_at, late_by)
    peers = {name: _at_most(world, one, ours["false_per_100"], late_by) for name, one in surest.items()}
    details: dict[str, Any] = {
        f"warn_at_{sure}": _figures(world, own, sure, late_by) for sure in (0.3, 0.5, 0.7, 0.9)
    }
    details |= {"late_alone_per_100": round(100 * sum(_late_alone(one, late_by) for one in world) / many, 2)}
    details |= {"stretch": fits.stretch, "missing": fits.missing}
    return ours | {"p90_covers": covered}, peers, details


def _ways(before: Sequence[Day], fits: Fits, late_by: float) -> dict[str, Way]:
    mean, usual = _means(fits), _usual(before)
    return {
        "ours": lambda days: [_shares(day, one) for day, one in _with(days, fits, late_by)],
        "mean_path": lambda days: [_expected(day, one) for day, one in _with(days, mean, late_by)],
        "mean_delay": lambda days: [_current(day, usual) for day in days],
        "current_delay": lambda days: [_current(day, {}) for day in days],
    }


def _late_alone(one: Played, late_by: float) -> int:
    """Return how many critical moments are late though all that they wait for ended in time for them."""
    ready = dict.fromkeys(range(len(one.went)), float("-inf"))
    for place, other in one.plan.waits:
        ready[place] = max(ready[place], one.went[other].ended)
    late = (place for place in ready if one.plan.critical[place] and one.late(place) > late_by)
    return sum(ready[place] <= one.plan.starts[place] for place in late)


def _with(days: Sequence[Day], fits: Fits, late_by: float) -> Iterator[tuple[Day, Course]]:
    return zip(days, course.forecast(days, fits, late_by=late_by), strict=True)


def _means(fits: Fits) -> Fits:
    """Return the same with each distribution as its mean."""
    delays, shares = (
        np.broadcast_to(one.mean(axis=-1, keepdims=True), one.shape) for one in (fits.delays, fits.shares)
    )
    return replace(fits, delays=np.array(delays), shares=np.array(shares), stretch=1.0)


def _open(day: Day, found: Course) -> list[int]:
    return [place for place in np.flatnonzero(~np.isnan(found.p50)).tolist() if day.plan.critical[place]]


def _shares(day: Day, found: Course) -> dict[int, float]:
    return {place: float(found.late[place]) for place in _open(day, found)}


def _expected(day: Day, found: Course) -> dict[int, float]:
    return {place: float(found.p50[place]) - day.plan.starts[place] for place in _open(day, found)}


def _usual(days: Sequence[Day]) -> dict[str, float]:
    """Return by how much moments of each kind were late, on average."""
    seen: dict[str, list[float]] = {}
    for day in days:
        for place, at in day.reported.started.items():
            seen.setdefault(day.plan.kinds[place], []).append(at - day.plan.starts[place])
    return {kind: sum(own) / len(own) for kind, own in seen.items()}


def _current(day: Day, usual: Mapping[str, float]) -> dict[int, float]:
    """Return of each critical moment to come the delay that is known, of what it waits for and began last.

    Where it is known by how much kinds are late on average, the delay is from there on as it usually is.
    """
    plan, known, found = day.plan, day.reported, {}
    waits = ancestors(plan)
    for place, is_critical in enumerate(plan.critical):
        if not is_critical or place in known.started:
            continue
        before = [one for one in waits[place] if one in known.started]
        last = max(before, key=lambda one: known.started[one], default=None)
        more = usual.get(plan.kinds[place], 0.0)
        if last is not None:
            more += known.started[last] - plan.starts[last] - usual.get(plan.kinds[last], 0.0)
        found[place] = max(day.now - plan.starts[place], more)
    return found


def _watch(
    world: Sequence[Played], ways: dict[str, Way], fits: Fits, late_by: float
) -> tuple[dict[str, Surest], float]:
    """Look at all days every few minutes; return when each way was how sure, and what the P90 covered."""
    surest = {name: Surest() for name in ways}
    covered = seen = 0
    print("wedding_day: days", file=sys.stderr)
    for minute in range(FIRST, LAST, EVERY):
        days = [one.day(minute) for one in world]
        for name, way in ways.items():
            _note(surest[name], world, way(days), minute)
        if minute % 60 == 0:
            hits, all_ = _covered(world, days, fits, late_by, minute)
            covered, seen = covered + hits, seen + all_
    return surest, round(covered / max(1, seen), 4)


def _note(surest: Surest, world: Sequence[Played], found: Sequence[dict[int, float]], minute: int) -> None:
    for number, own in enumerate(found):
        for place, sure in own.items():
            if world[number].went[place].started > minute:
                surest.note((number, place), minute, sure)


def _covered(
    world: Sequence[Played], days: Sequence[Day], fits: Fits, late_by: float, minute: int
) -> tuple[int, int]:
    hits = seen = 0
    for one, (_, found) in zip(world, _with(days, fits, late_by), strict=True):
        for place in np.flatnonzero(~np.isnan(found.p90)).tolist():
            if one.went[place].started > minute:
                hits += one.went[place].started <= found.p90[place]
                seen += 1
    return hits, seen


def _figures(world: Sequence[Played], surest: Surest, sure: float, late_by: float) -> dict[str, float]:
    """Return what came of warning once a way is so sure."""
    late = warned = wrong = very_late = warned_of_these = 0
    leads = []
    for (number, place), own in surest.found.items():
        is_late = world[number].late(place) > late_by
        at = next((minute for minute, value in own if value >= sure), None)
        is_very_late = world[number].late(place) > late_by + MORE
        late, very_late = late + is_late, very_late + is_very_late
        warned += is_late and at is not None
        warned_of_these += is_very_late and at is not None
        wrong += not is_late and at is not None
        if is_late and at is not None:
            leads.append(world[number].went[place].started - at)
    return {
        "warned_share": round(warned / max(1, late), 4),
        "warned_share_5_more": round(warned_of_these / max(1, very_late), 4),
        "lead_p50_min": round(median(leads), 1) if leads else 0.0,
        "false_per_100": round(100 * wrong / len(world), 2),
        "late_per_100": round(100 * late / len(world), 2),
    }


def _at_most(
    world: Sequence[Played], surest: Surest, false_per_100: float, late_by: float
) -> dict[str, float]:
    """Return what a way does that warns wrongly as often at most: at the lowest threshold for that."""
    marks = sorted({value for own in surest.found.values() for _, value in own})
    low, high = 0, len(marks) - 1
    while low < high:
        middle = (low + high) // 2
        if _figures(world, surest, marks[middle], late_by)["false_per_100"] <= false_per_100:
            high = middle
        else:
            low = middle + 1
    return _figures(world, surest, marks[low], late_by)
