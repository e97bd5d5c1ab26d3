"""The season of a region today, from its bookings and its load. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from workers.seasons.rules.changes import levels
from workers.seasons.rules.season import Decision, Policy, Reason, Season

#: More weddings a week than this say no more about its level.
_ENOUGH = 30.0


def decide(
    region: str,
    bookings: Iterable[tuple[date, int]],
    policy: Policy,
    *,
    today: date,
    loads: Sequence[tuple[date, float]] = (),
    before: Season | None = None,
) -> Decision:
    """Return the season of `region` today, from weddings by day around it and loads by day before it.

    The index is bookings a week at today's level (workers/seasons/rules/changes.py) over bookings a week in
    the year, drawn towards the calendar prior with the weight of `prior_weddings` bookings: (n·booked +
    m·loaded + k·prior) / (n + m + k).
    """
    half_year, today = timedelta(days=182), _monday(today)
    year = {day: float(count) for day, count in bookings if today - half_year <= day < today + half_year}
    # Whole weeks: this one's first days are no week.
    past = {day: load for day, load in loads if today - 2 * half_year <= day < today}
    total = sum(year.values())
    weight = policy.load_weddings * min(1.0, (today - min(past)) / (2 * half_year)) if past else 0.0
    booked = _level(year, today - half_year, today + half_year - timedelta(days=1), region, policy, today)
    last = today - timedelta(days=1)
    loaded = _level(past, _monday(min(past, default=last)), last, region, policy, last)
    known = total + weight + policy.prior_weddings
    index = (total * booked + weight * loaded + policy.prior_weddings * policy.prior(region, today)) / known
    seen = Reason.BOOKINGS if total >= weight else Reason.LOAD
    return Decision(
        policy.season(index, before),
        seen if total + weight > policy.prior_weddings else Reason.CALENDAR,
        index,
    )


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _level(
    by_day: Mapping[date, float], first: date, last: date, region: str, policy: Policy, today: date
) -> float:
    """Return the level that `today` lies in over the mean of all weeks from `first` to `last`.

    0 without any.
    """
    weeks = (last - first).days // 7 + 1
    counts, mean = [0.0] * weeks, sum(by_day.values()) / weeks
    if not mean:
        return 0.0
    for day, value in by_day.items():
        # A level is one of shares, not of people: thousands a week scatter by as much of them as dozens do.
        counts[(day - first).days // 7] += value / mean * min(mean, _ENOUGH)
    starts = [policy.season(policy.prior(region, first + timedelta(days=7 * week))) for week in range(weeks)]
    cuts = [week for week in range(1, weeks) if starts[week] is not starts[week - 1]]
    now = (today - first).days // 7
    span = next(span for span in levels(counts, cuts) if span.start <= now < span.stop)
    level: float = sum(counts[span]) / (span.stop - span.start) / min(mean, _ENOUGH)
    return level
