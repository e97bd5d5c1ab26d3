"""Looking back: spans played again, and how what was decided would have gone."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Connection

from workers.forecasting.rules import peak_forecast
from workers.forecasting.rules.calibration import Score
from workers.forecasting.rules.forecast import Policy as Forecasting
from workers.forecasting.store import forecasts as forecasting
from workers.forecasting.usecases import forecasts
from workers.forecasting.usecases.upper_bounds import held
from workers.foundation import database, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.retention.rules import Policy as Retention
from workers.scaling.rules.orders import Kind
from workers.scaling.rules.policy import Policy, Resource
from workers.scaling.store import actions as store
from workers.scaling.store import orders
from workers.scaling.usecases.scopes import check
from workers.seasons import store as seasons
from workers.seasons.rules.season import Season
from workers.simulation.rules.replay import Counts, Given, Outcome, Past, Planner, evaluate, replay
from workers.snapshots import store as snapshots
from workers.weddings.rules import calendar
from workers.weddings.store import regions as calendar_regions
from workers.weddings.store import versions


class CalendarForgotten(ExpectedError):
    """how the calendar was known before {since} is not kept; RETENTION_KEEP_DAYS says how long it is"""


class SpanUnmeasured(ExpectedError):
    """{region} was not measured from {start} to {end}, but {but}; SNAPSHOTS_KEEP_DAYS says how long that is
    kept"""


def played(
    db: Connection, region: str, start: datetime, end: datetime, *, now: Moment, cut: bool = False
) -> tuple[Outcome, Past, Counts]:
    """Play a past span of a region through the planner, with the calendar as it was known then.

    What was measured in the weeks before `start` is known at its beginning. With `cut` the span may begin
    with the first measurement. Raises SpanUnmeasured, CalendarForgotten.
    """
    kept_since = now - timedelta(days=settings.read(Retention).keep_days)
    if start < kept_since:
        raise CalendarForgotten(since=f"{kept_since:%Y-%m-%d}")
    policy, learn = settings.read(Policy), settings.read(peak_forecast.Policy)
    phases, predicting = settings.read(calendar.Policy), settings.read(Forecasting)
    past = _past(db, region, start - timedelta(days=learn.days), start, end)
    first = max(1, int((start - past.starts_at) / timedelta(minutes=1)))
    if first >= len(past.load) or (past.starts_at > start + timedelta(hours=1) and not cut):
        but = f"from {past.starts_at:%Y-%m-%d %H:%M} to {past.moment(len(past.load)):%Y-%m-%d %H:%M} (UTC)"
        raise SpanUnmeasured(
            region=region, start=f"{start:%Y-%m-%d %H:%M}", end=f"{end:%Y-%m-%d %H:%M}", but=but
        )
    outcome, supply = replay(Planner(past, policy, predicting, learn, phases), first)
    return outcome, past, supply


def replayed(
    region: str | None, start: datetime, end: datetime, *, now: Moment, cut: bool = False
) -> dict[str, tuple[Outcome, Past, Counts]]:
    """Play a past span of a region, or of all that have weddings, through the planner.

    See `played`. Raises RegionUnknown.
    """
    with database.transaction() as db:
        known = calendar_regions.known(db)
        if region:
            check(region, known)
        return {
            name: played(db, name, start, end, now=now, cut=cut) for name in ([region] if region else known)
        }


def _past(db: Connection, region: str, since: datetime, start: datetime, end: datetime) -> Past:
    seen = snapshots.by_minute(db, since, end, region=region).get(region, {})
    if not seen:
        raise SpanUnmeasured(
            region=region, start=f"{start:%Y-%m-%d %H:%M}", end=f"{end:%Y-%m-%d %H:%M}", but="never then"
        )
    begins = Moment(datetime.fromtimestamp(min(seen) * 60, UTC))

    def known(at: Moment) -> list[calendar.Wedding]:
        near = versions.as_known(db, at, begins - timedelta(days=1), at + timedelta(days=4))
        return [one for one in near if one.region == region]

    # What was learned later, from the span itself, was not known in it.
    parameters = forecasting.parameters(db, before=start)
    learned = parameters.get(region) or parameters.get(forecasting.EVERY)
    zone, given = calendar_regions.zones(db).get(region, "UTC"), _given(db, region, start, end)
    return Past(region, begins, held(seen), known, learned, zone, given)


def _given(db: Connection, region: str, start: datetime, end: datetime) -> Callable[[Moment], Given]:
    """Return what held of a region at a moment.

    Its season's floor, the margin of its forecast, orders of people.
    """
    policy, ordered = settings.read(Policy), orders.given(db, region, since=start, until=end)
    changes = seasons.changes(db, region)
    verdicts = forecasting.verdicts(db, region, forecasts.TRUSTED_BY, since=start - forecasts.VALID_FOR)

    def given(at: Moment) -> Given:
        season = next((season for since, season in reversed(changes) if since <= at), None)
        holding = {one.kind: one for one in ordered if one.holds(at)}
        emergency = ordered_now.value if (ordered_now := holding.get(Kind.EMERGENCY)) else 0
        floor = policy.peak_floor(Resource.INSTANCES) if season is Season.PEAK else 0
        return Given(
            _margin(verdicts, at),
            floor,
            Kind.SUSPEND_SCALE_IN in holding,
            Kind.SUSPEND_SCALE_OUT in holding,
            emergency,
        )

    return given


def _margin(verdicts: Sequence[tuple[datetime, Score]], at: datetime) -> float:
    """Return what the newest verdict that stood then asked to be added to forecasts."""
    return next(
        (one.margin for said, one in reversed(verdicts) if at - forecasts.VALID_FOR <= said <= at), 1.0
    )


def regret(db: Connection, region: str, *, now: Moment, days: int) -> Outcome | None:
    """Return how what was decided for a region in the last days would have gone.

    None when it was not measured. Raises RegionUnknown.
    """
    check(region, calendar_regions.known(db))
    policy, start = settings.read(Policy), now - timedelta(days=days)
    seen = snapshots.by_minute(db, start, now, region=region).get(region, {})
    if not seen:
        return None
    load, begins, boot = held(seen), min(seen), policy.boot_minutes
    made = store.during(db, region, Resource.INSTANCES, start, now)
    supply = np.full(len(load), made[0].before if made else policy.instances_min, np.int64)
    billed = supply.copy()
    for action in made:
        decided = int(action.created_at.timestamp()) // 60 - begins
        billed[max(0, decided) :] = action.to
        supply[max(0, decided + boot * (action.to > action.before)) :] = action.to
    capacity, minimum = float(policy.connections_per_instance), policy.instances_min
    return evaluate(load, supply, float(billed.sum()), capacity=capacity, boot=boot, minimum=minimum)
