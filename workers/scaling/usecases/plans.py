"""Looking far ahead: days on which there may not be enough, and what a day needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from workers.forecasting.rules.forecast import Forecast
from workers.forecasting.usecases import forecasts
from workers.foundation import settings
from workers.foundation.moments import Moment
from workers.scaling.rules import capacity
from workers.scaling.rules.policy import Policy, Resource
from workers.scaling.store import capacity as days_ahead
from workers.seasons import adapters as holidays
from workers.seasons import store as seasons
from workers.seasons.rules import deciding
from workers.seasons.rules import season as seasonal
from workers.weddings.store import weddings

#: So near a day is in the season of today.
SAME_SEASON = timedelta(days=14)


def full_days(db: Connection, *, now: Moment, days: int) -> list[capacity.FullDay]:
    """Return the days to come on which a region's instances or the plan's limits may not suffice."""
    made = forecasts.by_calendar(db, now=now, horizon=timedelta(days=days))
    return capacity.full_days(made, settings.read(Policy))


@dataclass(frozen=True)
class Hour:
    """An hour's highest load, in half of all cases and in 1 of 100.

    The instances for its 90 and its 99 % quantile.
    """

    at: Moment
    p50: float
    p99: float
    instances: int
    instances_p99: int
    max: int


@dataclass(frozen=True)
class Day:
    """What a day needs of a region, by hour; hours in which nobody is expected are left out."""

    region: str
    zone: str
    weddings: int
    guests: int
    season: str
    holiday: str
    hours: list[Hour]


def day(db: Connection, local: date, *, now: Moment) -> list[Day]:
    """Return what each region needs in the 36 hours from its midnight of a day on."""
    policy, found = settings.read(Policy), []
    # The season that is now says nothing of another one.
    current = seasons.current(db) if abs(local - now.date()) <= SAME_SEASON else {}
    noon = Moment(datetime(local.year, local.month, local.day, 12, tzinfo=UTC))
    around = weddings.between(db, noon - timedelta(days=2), noon + timedelta(days=2))
    for one in forecasts.by_calendar(db, now=noon - timedelta(hours=27), horizon=timedelta(days=3)):
        guests = [
            wedding.guest_count
            for wedding in around
            if wedding.region == one.region and wedding.starts_local.date() == local
        ]
        season = current.get(one.region)
        season = season or deciding.decide(one.region, [], seasonal.Policy(), today=local).season
        facts = len(guests), sum(guests), str(season), holidays.name(one.zone, local)
        midnight = datetime(local.year, local.month, local.day, tzinfo=ZoneInfo(one.zone)).astimezone(UTC)
        hours = [hour for hour in _hours(one, Moment(midnight), policy) if hour.p99 >= 1]
        found.append(Day(one.region, one.zone, *facts, hours))
    return found


def _hours(forecast: Forecast, midnight: Moment, policy: Policy) -> Iterator[Hour]:
    bounds = policy.bounds(Resource.INSTANCES)
    for number in range(36):
        at = midnight + timedelta(hours=number)
        until = at + timedelta(hours=1) - forecast.step
        p50, p90, p99 = (forecast.peak(at, until, name) or 0.0 for name in ("p50", "p90", "p99"))
        instances, in_100 = (bounds.holding(value, policy.utilisation) for value in (p90, p99))
        yield Hour(at, round(p50, 1), round(p99, 1), instances, in_100, bounds.max)


def look_ahead(db: Connection, *, now: Moment, days: int) -> None:
    """Find the coming days on which there may not be enough, and remember them instead of those before."""
    days_ahead.replace(db, full_days(db, now=now, days=days))
