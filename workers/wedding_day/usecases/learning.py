"""Learning of past days: by how much moments are delayed, how long they take, what is not reported."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import numpy as np
from sqlalchemy import Connection

from workers.foundation import logs, settings
from workers.foundation.moments import Moment
from workers.wedding_day.rules import course, fitting
from workers.wedding_day.rules.course import Day
from workers.wedding_day.rules.deviations import Policy
from workers.wedding_day.rules.fitting import Fits, Sample
from workers.wedding_day.rules.plans import Plan, Reported
from workers.wedding_day.store import days, fits

log = logs.get("wedding_day")

#: It is learned of so many days at most, of so long, and of no fewer.
DAYS, SINCE, FEWEST = 5_000, timedelta(days=400), 20
#: How far days differ is seen on so many of them, at looks so many minutes apart.
SEEN, EVERY = 300, 60.0


def learn(db: Connection, *, now: Moment) -> int:
    """Learn of the days that are over; return of how many: of too few nothing is learned."""
    past = [one.day(now=one.over_at) for one in days.past(db, now - SINCE, now, limit=DAYS)]
    told = [one for one in past if one.reported.started]
    if len(told) < FEWEST:
        return 0
    found = fitted(told, settings.read(Policy))
    fits.add(db, found, days=len(told), at=now)
    log.info(
        "past days learned", reason="schedule", days=len(told), stretch=found.stretch, missing=found.missing
    )
    return len(told)


def fitted(told: Sequence[Day], policy: Policy) -> Fits:
    """Return what days that are over say of days to come."""
    # Not seen on those it was fitted on, where there are enough of others.
    others = told[SEEN:] if len(told) >= 4 * SEEN else told
    found = fitting.fit(_samples(others), missing=_missing(told))
    found = fitting.paced(found, [_logs(day, found) for day in others])
    return fitting.stretched(found, _spread(told[:SEEN], found, policy))


def _samples(told: Sequence[Day]) -> Iterator[Sample]:
    for day in told:
        plan, started, ended = day.plan, day.reported.started, day.reported.ended
        for place, others in _waited_for(plan).items():
            if place not in started or not all(other in ended for other in others):
                continue
            start = started[place]
            delay = start - max([plan.starts[place], *(ended[other] for other in others)])
            share = _share(plan, place, start, ended)
            yield Sample(plan.kinds[place], day.venue, delay, share, start - plan.starts[place])


def _waited_for(plan: Plan) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {place: [] for place in range(len(plan.ids))}
    for place, other in plan.waits:
        found[place].append(other)
    return found


def _share(plan: Plan, place: int, start: float, ended: Mapping[int, float]) -> float:
    if place not in ended or not plan.lengths[place]:
        return float("nan")
    return max(0.0, ended[place] - start) / plan.lengths[place]


def _logs(day: Day, found: Fits) -> list[float]:
    """Return the logs of how long a day's moments took over what is usual."""
    plan, started, ended = day.plan, day.reported.started, day.reported.ended
    told = [place for place in started if place in ended and plan.lengths[place]]
    rows = np.array([found.row(plan.kinds[place], day.venue) for place in told], dtype=np.intp)
    late = np.array([started[place] - plan.starts[place] for place in told], dtype=np.float32)
    shares = [(ended[place] - started[place]) / plan.lengths[place] for place in told]
    logs: list[float] = fitting.over_usual(found, rows, late, np.array(shares, dtype=np.float32)).tolist()
    return logs


def _missing(told: Sequence[Day]) -> float:
    """Return which share of reports was forgotten; never so little that silence would prove anything."""
    # What has no length has no end to report.
    wanted = sum(1 + (length > 0) for day in told for length in day.plan.lengths)
    reported = sum(len(day.reported.started) + len(day.reported.ended) for day in told)
    return min(0.5, max(0.01, 1 - reported / wanted))


def _spread(told: Sequence[Day], found: Fits, policy: Policy) -> fitting.Array:
    """Return how far what was seen lay from the median, in parts of what it was expected to."""
    late_by, seen = policy.late_by.total_seconds() / 60, list[float]()
    first = min(min(day.plan.starts) for day in told if day.plan.starts)
    last = max(max(day.plan.starts) for day in told if day.plan.starts)
    for minute in np.arange(first, last, EVERY).tolist():
        then = [_as_of(day, minute) for day in told]
        for day, expected in zip(told, course.forecast(then, found, late_by=late_by), strict=True):
            seen += _parts(day, expected, minute)
    return np.array(seen, dtype=np.float32)


def _as_of(day: Day, minute: float) -> Day:
    """Return a day as it was known at a moment."""
    started, ended = (
        {place: at for place, at in times.items() if at <= minute}
        for times in (day.reported.started, day.reported.ended)
    )
    return Day(day.plan, Reported(started, ended), minute, day.venue)


def _parts(day: Day, expected: course.Course, minute: float) -> Iterator[float]:
    for place, at in day.reported.started.items():
        if at > minute and expected.p50[place] == expected.p50[place]:
            yield float((at - expected.p50[place]) / max(1.0, expected.p90[place] - expected.p50[place]))
