"""Whom a deviation is told, before it reaches a moment that all wait for. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np

from workers.wedding_day.rules.course import Course, Day
from workers.wedding_day.rules.plans import Plan

#: So many moments that may still be moved are named.
NAMED = 3
#: In minutes: what holds up others by less is no bottleneck.
MATTERS = 5.0


@dataclass(frozen=True)
class Policy:
    """A critical moment is late `late_by` after its plan; it is warned of once that is likely (`warn_at`).

    A wedding is watched from `watch_before` its start on. How its day goes is written down when something
    has changed, and each `write_every`. Reports of the future are taken up to `ahead`.
    """

    prefix: ClassVar = "COURSE_"

    late_by: timedelta = timedelta(minutes=15)
    warn_at: float = 0.7
    watch_before: timedelta = timedelta(hours=24)
    write_every: timedelta = timedelta(minutes=10)
    ahead: timedelta = timedelta(minutes=2)

    def __post_init__(self) -> None:
        """Refuse what would warn of everything, or nothing."""
        if not 0 < self.warn_at < 1:
            raise ValueError("warn_at must lie between 0 and 1")
        if not timedelta(minutes=1) <= self.late_by <= timedelta(hours=4):
            raise ValueError("late_by must be from 1m to 4h")


@dataclass(frozen=True)
class Deviation:
    """A critical moment that will be late, by its place: minutes from the wedding's start.

    `because` is the place of what holds it up most, `movable` are moments before it that have not begun.
    """

    place: int
    p50: float
    p90: float
    because: int
    movable: Sequence[int]


def ahead(day: Day, course: Course, policy: Policy, *, warned: Collection[str]) -> list[Deviation]:
    """Return the critical moments of a day that will be late, those that nobody was warned of yet."""
    late = [
        place
        for place in np.flatnonzero(course.late >= policy.warn_at).tolist()
        if day.plan.critical[place] and day.plan.ids[place] not in warned
    ]
    before = ancestors(day.plan) if late else []
    return [
        Deviation(
            place,
            float(course.p50[place]),
            float(course.p90[place]),
            _worst(course, {place, *before[place]}),
            _movable(day, before[place]),
        )
        for place in late
    ]


def ancestors(plan: Plan) -> list[set[int]]:
    """Return the places of all that each moment waits for."""
    found: list[set[int]] = [set() for _ in plan.ids]
    # What a moment waits for stands before it, so it is complete by then.
    for moment, other in plan.waits:
        found[moment] |= found[other] | {other}
    return found


def _worst(course: Course, places: Collection[int]) -> int:
    """Return which of some moments adds most delay."""
    return max(sorted(places), key=lambda one: float(course.delay[one]))


def bottleneck(day: Day, course: Course) -> str:
    """Return what adds most delay to critical moments to come: a moment's id, empty when none does."""
    before, waited_for = ancestors(day.plan), set[int]()
    for place in np.flatnonzero(~np.isnan(course.p50)).tolist():
        if day.plan.critical[place]:
            waited_for |= {place, *before[place]}
    worst = _worst(course, waited_for) if waited_for else None
    return day.plan.ids[worst] if worst is not None and course.delay[worst] >= MATTERS else ""


def _movable(day: Day, before: Collection[int]) -> list[int]:
    known = {*day.reported.started, *day.reported.ended}
    open_ = [
        one for one in before if one not in known and not day.plan.critical[one] and day.plan.lengths[one]
    ]
    return sorted(open_, key=lambda one: (-day.plan.lengths[one], one))[:NAMED]


@dataclass(frozen=True)
class Adherence:
    """How a day has gone so far: how many moments were `due`, were `reported`, and started `in_time`."""

    due: int
    reported: int
    in_time: int


def adherence(day: Day, policy: Policy) -> Adherence:
    """Return how many of the moments that should have started by now did so in time."""
    late_by = policy.late_by.total_seconds() / 60
    due = [place for place, start in enumerate(day.plan.starts) if start <= day.now]
    known = [place for place in due if place in day.reported.started]
    in_time = sum(day.reported.started[place] - day.plan.starts[place] <= late_by for place in known)
    return Adherence(len(due), len(known), in_time)


def late_moments(day: Day, policy: Policy) -> tuple[int, list[str]]:
    """Return how many critical moments of a day were reported to have started, and which were late."""
    late_by, plan = policy.late_by.total_seconds() / 60, day.plan
    started = {place: at for place, at in day.reported.started.items() if plan.critical[place]}
    late = [place for place, at in sorted(started.items()) if at - plan.starts[place] > late_by]
    return len(started), [plan.ids[place] for place in late]
