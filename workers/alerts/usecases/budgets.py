"""Which error budgets burn too fast: the month's by region, and each running wedding's own."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Connection

from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Policy
from workers.alerts.store import alerts
from workers.foundation.moments import MachineMoment, Moment
from workers.measurements.rules.objectives import (
    BAD_MIN,
    BY_NAME,
    MONTH,
    Counts,
    Objective,
    Window,
    burns,
    describe,
    rate,
    wedding_windows,
    worst,
)
from workers.measurements.store import events
from workers.weddings.store import weddings

#: How it is now: by this a response is measured, for the windows that page remember what has ended.
LATEST = Window(timedelta(minutes=2), timedelta(minutes=1), 0.0, pages=False)
#: What the subjects of weddings' own budgets begin with.
WEDDING = "wedding:"


def burning(
    db: Connection, policy: Policy, *, now: Moment, machine: MachineMoment
) -> tuple[list[Breach], set[str]]:
    """Return a breach for each budget that burns too fast, and the fingerprints that were measured.

    `now` is the time that weddings live in, `machine` that of what services measure. What sends nothing any
    more is neither: silence is not health.
    """
    found, evaluated = _of_regions(db, policy, machine)
    own = _of_weddings(db, now, machine)
    return [*(one for one in found if one.fingerprint in evaluated), *own], evaluated | _measured(
        db, now, machine
    )


def _of_regions(db: Connection, policy: Policy, machine: MachineMoment) -> tuple[list[Breach], set[str]]:
    counts: dict[tuple[str, str], list[tuple[Window, Counts]]] = defaultdict(list)
    for window in MONTH:
        for one in events.of_regions(db, window, now=machine):
            counts[one.objective, one.scope].append((window, one.counts))
    latest = {(one.objective, one.scope): one.counts for one in events.of_regions(db, LATEST, now=machine)}
    found, evaluated = [], set[str]()
    for (name, region), own in counts.items():
        objective, recent = BY_NAME[name], own[0][1]
        if recent.total_short:
            evaluated |= {f"{objective.alert}/{_subject(region, objective)}", f"{Kind.AVAILABILITY}/{region}"}
        if burn := worst((window, burns(objective, window, each)) for window, each in own):
            # What sends nothing just now is no better than it was.
            value = rate(objective, latest.get((name, region)), unmeasured=burn[1])
            text = describe(objective, burn[0], dict(own)[burn[0]], burn[1])
            found.append(_breach(objective, region, burn[0], f"{text} in {region or 'all regions'}", value))
        if objective.alert == Kind.AVAILABILITY:
            found += _outage(region, recent, policy)
    return found, evaluated


def _outage(region: str, recent: Counts, policy: Policy) -> list[Breach]:
    share = recent.bad_short / recent.total_short if recent.bad_short >= BAD_MIN else 0.0
    if not (severity := policy.severity("outage", share)):
        return []
    detail = f"{1 - share:.1%} of the round trips that were tried in {region or 'all regions'} succeeded"
    return [Breach(Kind.AVAILABILITY, region, severity, share, detail, region)]


def _measured(db: Connection, now: Moment, machine: MachineMoment) -> set[str]:
    """Return the fingerprints of weddings' budgets that have an alert, and of which something is known."""
    active = [one for one in alerts.listed(db, limit=None, ended=False) if one.subject.startswith(WEDDING)]
    measured = events.measured(db, {one.wedding_id for one in active}, since=machine - LATEST.long)
    running = {one[0] for one in weddings.running(db, now)} if active else set()
    return {
        f"{one.kind}/{one.subject}"
        for one in active
        if one.wedding_id not in running or (one.subject.rpartition("/")[2], one.wedding_id) in measured
    }


def _subject(scope: str, objective: Objective) -> str:
    return f"{scope or 'everywhere'}/{objective.name}"


def _breach(objective: Objective, region: str, window: Window, detail: str, value: float) -> Breach:
    severity = (
        Severity.MEDIUM if not window.pages else Severity.CRITICAL if window is MONTH[0] else Severity.HIGH
    )
    return Breach(Kind(objective.alert), _subject(region, objective), severity, value, detail, region)


def _of_weddings(db: Connection, now: Moment, machine: MachineMoment) -> list[Breach]:
    by_length: dict[timedelta, dict[str, str]] = defaultdict(dict)
    for wedding_id, region, starts_at, ends_at in weddings.running(db, now):
        by_length[_whole_hours(ends_at - starts_at)][wedding_id] = region
    found = []
    for lasts, regions in by_length.items():
        counts: dict[tuple[str, str], dict[Window, Counts]] = defaultdict(dict)
        for window in wedding_windows(lasts):
            for one in events.of_weddings(db, window, now=machine, ids=regions, bad_min=BAD_MIN):
                counts[one.objective, one.scope][window] = one.counts
        found += list(_pages(counts.items(), regions))
    return found


def _whole_hours(lasts: timedelta) -> timedelta:
    # A calendar has hundreds of lengths; each would be asked for by itself.
    return timedelta(hours=max(1, round(lasts.total_seconds() / 3600)))


def _pages(
    found: Iterable[tuple[tuple[str, str], dict[Window, Counts]]], regions: dict[str, str]
) -> Iterable[Breach]:
    for (name, wedding_id), counts in found:
        objective = BY_NAME[name]
        if burn := worst((window, burns(objective, window, each)) for window, each in counts.items()):
            window, times = burn
            detail = f"{describe(objective, window, counts[window], times)} at wedding {wedding_id}"
            kind = Kind(objective.alert)
            subject = _subject(f"{WEDDING}{wedding_id}", objective)
            yield Breach(kind, subject, Severity.CRITICAL, times, detail, regions[wedding_id], wedding_id)
