"""Which error budgets burn too fast: the month's by region, and each running wedding's own."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from workers.alerts.rules import Breach, Kind, Severity
from workers.metrics.rules.objectives import (
    BAD_LEAST,
    MONTH,
    OBJECTIVES,
    Counts,
    Objective,
    Window,
    burns,
    wedding_windows,
    worst,
)
from workers.metrics.store import events
from workers.weddings import store as weddings

#: What the subjects of weddings' own budgets begin with.
WEDDING = "wedding:"
OBJECTIVE = {objective.name: objective for objective in OBJECTIVES}


def burning(db: Connection, *, world: datetime, now: datetime) -> tuple[list[Breach], set[str]]:
    """Return a breach for each budget that burns too fast, and the fingerprints about which something was measured.

    `world` is the time that weddings live in, `now` that of what services measure.
    """
    found, judged = _of_regions(db, now)
    return found + _of_weddings(db, world, now), judged


def _of_regions(db: Connection, now: datetime) -> tuple[list[Breach], set[str]]:
    counts: dict[tuple[str, str], list[tuple[Window, Counts]]] = defaultdict(list)
    for window in MONTH:
        for one in events.of_regions(db, window, now=now):
            counts[one.objective, one.who].append((window, one.counts))
    found, judged = [], set[str]()
    for (name, region), own in counts.items():
        objective = OBJECTIVE[name]
        # Silence is not health: what sends nothing any more says nothing of whether it is over.
        if any(each.total_short for _, each in own):
            judged.add(f"{objective.alert}/{_subject(region, objective)}")
        if burn := worst((window, burns(objective, window, each)) for window, each in own):
            found.append(_breach(objective, region, *burn))
    return found, judged


def _subject(who: str, objective: Objective) -> str:
    return f"{who or 'everywhere'}/{objective.name}"


def _breach(objective: Objective, region: str, window: Window, burn: float) -> Breach:
    severity = Severity.MEDIUM if not window.pages else Severity.CRITICAL if window is MONTH[0] else Severity.HIGH
    detail = (
        f"{objective.name} burns its month's budget {burn:,.0f} times too fast over {window.long} in {region or 'all regions'}"
    )
    return Breach(Kind(objective.alert), _subject(region, objective), severity, burn, detail, region)


def _of_weddings(db: Connection, world: datetime, now: datetime) -> list[Breach]:
    by_length: dict[timedelta, dict[str, str]] = defaultdict(dict)
    for wedding_id, region, starts_at, ends_at in weddings.running(db, world):
        by_length[ends_at - starts_at][wedding_id] = region
    found = []
    for lasts, regions in by_length.items():
        burnt: dict[tuple[str, str], list[tuple[Window, float]]] = defaultdict(list)
        for window in wedding_windows(lasts):
            for one in events.of_weddings(db, window, now=now, ids=regions, bad_least=BAD_LEAST):
                burnt[one.objective, one.who].append((window, burns(OBJECTIVE[one.objective], window, one.counts)))
        found += list(_pages(burnt.items(), regions))
    return found


def _pages(burnt: Iterable[tuple[tuple[str, str], list[tuple[Window, float]]]], regions: dict[str, str]) -> Iterable[Breach]:
    for (name, wedding_id), windows in burnt:
        if burn := worst(windows):
            window, times = burn
            objective = OBJECTIVE[name]
            detail = f"{name} of wedding {wedding_id} burns its own budget {times:,.0f} times too fast over {window.long}"
            kind = Kind(objective.alert)
            subject = _subject(f"{WEDDING}{wedding_id}", objective)
            yield Breach(kind, subject, Severity.CRITICAL, times, detail, regions[wedding_id], wedding_id)
