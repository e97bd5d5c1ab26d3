"""Looking back on a day: what happened, who was affected, what was forecast, what it cost."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Connection

from workers.alerts.rules.kinds import Severity
from workers.alerts.store import history as alerts
from workers.delivery.store import summaries
from workers.emergencies.store import emergencies
from workers.emergencies.store.emergencies import Emergency
from workers.forecasting.store import forecasts
from workers.foundation import settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.measurements.store import events
from workers.scaling.rules.actions import instance_hours
from workers.scaling.rules.policy import Policy as Scaling
from workers.scaling.rules.policy import Resource
from workers.scaling.store import actions
from workers.seasons import usecases as seasons
from workers.seasons.rules.days import Day
from workers.snapshots import store as snapshots
from workers.wedding_day.usecases import showing
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Status, Wedding
from workers.weddings.store import regions

#: How long before a moment it was forecast: when what is ordered still serves in time.
AHEAD = timedelta(hours=2)
#: So many of those who were affected are named.
NAMED = 50


class NotYet(ExpectedError):
    """the first wedding of {day} is ahead: there is nothing to look back on"""

    http_status = 404


class NothingThatDay(ExpectedError):
    """no wedding is on {day}; `wedops weddings next` shows which come"""

    http_status = 404


@dataclass(frozen=True)
class RegionReview:
    """A region's day: its weddings, the most people connected, the highest of the forecast, and the cost.

    `forecast_p50` and `forecast_p90` are the highest of what was forecast two hours ahead; None where nothing
    was. The cost is in hours of instances, or in money where their price is known; None where nothing acted.
    """

    region: str
    kind: str
    weddings: int
    guests: int
    peak: float | None
    forecast_p50: float | None
    forecast_p90: float | None
    instance_hours: float | None
    cost_per_wedding: float | None


@dataclass(frozen=True)
class Affected:
    """A wedding for which something went wrong, and what."""

    wedding_id: str
    guests: int
    why: Sequence[str]


@dataclass(frozen=True)
class Review:
    """A local day, over all regions. `critical` are moments that all wait for."""

    day: date
    #: All of its weddings are over; else it is told as far as it has gone.
    is_over: bool
    weddings: int
    cancelled: int
    guests: int
    regions: Sequence[RegionReview]
    affected: Sequence[Affected]
    affected_in_all: int
    alerts: Mapping[str, int]
    emergencies: Mapping[str, int]
    #: In seconds from its opening, when half of the emergencies had a first step done; None: none had.
    response_seconds: float | None
    critical: Mapping[str, int]
    messages: Mapping[str, int]
    price: float

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"schema": "wedops.review/1", **asdict(self), "day": self.day.isoformat()}


def review(db: Connection, day: date, *, now: Moment) -> Review:
    """Look back on a local day, as far as it has gone. Raises NothingThatDay, NotYet."""
    all_ = regions.of_day(db, day)
    found = [one for one in all_ if one.status is not Status.CANCELLED]
    if not found:
        raise NothingThatDay(day=day)
    start, end = _span(found)
    if now <= start:
        raise NotYet(day=day)
    is_over, end = now >= end, min(now, end)
    ids = [one.id for one in found]
    fired, open_ = alerts.between(db, start, end), emergencies.between(db, start, end)
    counts, late = showing.critical_moments(db, ids, now=now)
    sent = summaries.missed(db, ids)
    missed = [(id, f"{lost} not reached by an urgent message") for id, (_, lost) in sent.items() if lost]
    affected = _affected(found, [*_wrong(db, found, fired, open_, late), *missed])
    return Review(
        day,
        is_over,
        len(found),
        len(all_) - len(found),
        sum(one.guest_count for one in found),
        _regions(db, day, found, start, end),
        affected[:NAMED],
        len(affected),
        dict(Counter(f"{one['worst']} {one['kind']}" for one in fired)),
        dict(Counter(str(one.kind) for one in open_)),
        _response(db, open_),
        counts,
        {"sent": sum(many for many, _ in sent.values()), "missed": sum(lost for _, lost in sent.values())},
        settings.read(Scaling).instance_hour_price,
    )


def _response(db: Connection, open_: Sequence[Emergency]) -> float | None:
    first = emergencies.first_done(db, [one.id for one in open_])
    took = [(first[one.id] - one.opened_at).total_seconds() for one in open_ if one.id in first]
    return median(took) if took else None


def _span(found: Sequence[Wedding]) -> tuple[Moment, Moment]:
    phases = settings.read(calendar.Policy)
    first, last = min(one.starts_at for one in found), max(one.ends_at for one in found)
    return Moment(first - phases.setup_before), Moment(last + phases.wind_down_lasts)


def _wrong(
    db: Connection,
    found: Sequence[Wedding],
    fired: Sequence[Mapping[str, Any]],
    open_: Sequence[Emergency],
    late: Mapping[str, Sequence[str]],
) -> Iterator[tuple[str, str]]:
    """Yield what went wrong, as (wedding, what)."""
    for id, objectives in events.overspent(db, [one.id for one in found]).items():
        yield from ((id, f"budget of {one} used up") for one in objectives)
    critical = (one for one in fired if one["wedding_id"] and one["worst"] == Severity.CRITICAL)
    yield from ((one["wedding_id"], f"critical {one['kind']}") for one in critical)
    for one in (one for one in fired if not one["wedding_id"] and one["worst"] == Severity.CRITICAL):
        here = (each for each in found if one["region"] in ("", each.region) and _ran_during(each, one))
        yield from ((each.id, f"critical {one['kind']} in its region") for each in here)
    yield from ((one.wedding_id, f"emergency: {one.kind}") for one in open_)
    yield from ((id, f"{moment} late") for id, moments in late.items() for moment in moments)


def _ran_during(wedding: Wedding, alert: Mapping[str, Any]) -> bool:
    until = alert["resolved_at"]
    return alert["fired_at"] < wedding.ends_at and (until is None or until > wedding.starts_at)


def _affected(found: Sequence[Wedding], wrong: Iterable[tuple[str, str]]) -> list[Affected]:
    """Return the weddings for which something went wrong, those with the most trouble first."""
    why: dict[str, list[str]] = {}
    for id, what in dict.fromkeys(wrong):
        why.setdefault(id, []).append(what)
    affected = [Affected(one.id, one.guest_count, why[one.id]) for one in found if one.id in why]
    return sorted(affected, key=lambda one: (-len(one.why), -one.guests))


def _regions(
    db: Connection, day: date, found: Sequence[Wedding], start: Moment, end: Moment
) -> list[RegionReview]:
    noon = Moment(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    kinds = {one.region: one for one in seasons.days(db, noon, noon) if one.day == day}
    peaks, ahead = snapshots.highest(db, start, end), _forecast(db, start, end)
    price = settings.read(Scaling).instance_hour_price
    rows = []
    for region in sorted({one.region for one in found}):
        own = [one for one in found if one.region == region]
        first, last = _span(own)
        span = first, min(end, last)
        hours = instance_hours(actions.during(db, region, Resource.INSTANCES, *span), *span)
        p50, p90 = ahead.get(region, (None, None))
        kind = kinds.get(region, Day(region, day, len(own), "", has_many=False)).kind
        facts = len(own), sum(one.guest_count for one in own), peaks.get(region), p50, p90
        cost = None if hours is None else hours * (price or 1.0) / len(own)
        rows.append(RegionReview(region, kind, *facts, hours, cost))
    return rows


def _forecast(db: Connection, start: Moment, end: Moment) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for region, _, quantiles in forecasts.pairs(db, AHEAD, since=start, until=end):
        p50, p90 = found.get(region, (0.0, 0.0))
        found[region] = max(p50, quantiles["p50"]), max(p90, quantiles["p90"])
    return found
