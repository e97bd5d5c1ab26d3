"""Forecasting every region.

The calendar's part with what past weddings taught, drawn to what was seen in the last hour.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection

from workers.forecasting.rules import calibration, shares
from workers.forecasting.rules import forecast as rules
from workers.forecasting.store import forecasts as store
from workers.foundation import settings
from workers.foundation.moments import Moment
from workers.seasons import adapters as holidays
from workers.snapshots import store as snapshots
from workers.weddings.rules import calendar
from workers.weddings.store import regions as calendar_regions
from workers.weddings.store import weddings

#: How far ahead forecasts are evaluated; the first one's verdict is what scaling goes by.
AHEAD = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
#: Its minutes, and how long a verdict is valid.
TRUSTED_BY, VALID_FOR = int(AHEAD[0].total_seconds() // 60), timedelta(days=1)
#: So many days ahead too, by a forecast that is made each day: it says how good what is planned weeks ahead
#: may be.
FAR_AHEAD, FAR, HOUR = (7, 28), timedelta(days=30), timedelta(hours=1)


def refresh(db: Connection, *, now: Moment) -> tuple[int, int]:
    """Forecast each region's load, for days and weeks, and forget what nobody reads.

    Return how many, of which calendar.
    """
    version, policy = weddings.version_of(db), settings.read(rules.Policy)
    made = store.record(db, forecasts(db, now=now), version=version, at=now)
    store.record(db, far(db, now=now), version=version, at=now, far=True)
    store.forget(db, before=now - policy.keep, far_before=now - max(policy.keep, far_kept(policy)))
    return made, version


def forecasts(db: Connection, *, now: Moment) -> list[rules.Forecast]:
    """Return a forecast for each region of the calendar."""
    policy, phases = settings.read(rules.Policy), settings.read(calendar.Policy)
    since = rules.grid(now - policy.pull_from, policy)
    by_region = _taking_place(db, since, now + policy.horizon, phases)
    seen, parameters, zones = (
        snapshots.history(db, since, now),
        store.parameters(db),
        calendar_regions.zones(db),
    )
    made = []
    for region, here in by_region.items():
        known = _known(zones[region], region, parameters, since, policy.horizon)
        past = rules.forecast(region, here, policy, phases, starts_at=since, **known)
        points = [(at, float(count)) for where, at, count in seen if where == region]
        expected = [past.peak(at, at, "p50") or 0.0 for at, _ in points]
        ratio = rules.pull(expected, [count for _, count in points], policy)
        made.append(
            rules.forecast(
                region, here, policy, phases, starts_at=rules.grid(now, policy), ratio=ratio, **known
            )
        )
    return made


def far(db: Connection, *, now: Moment) -> list[rules.Forecast]:
    """Return the next weeks' forecasts, a step of each hour; none while those of the last day are there."""
    last = store.far_since(db)
    if last and abs(now - last) < timedelta(days=1):
        return []
    return [one.sparser(HOUR) for one in by_calendar(db, now=now, horizon=FAR)]


def far_kept(policy: rules.Policy) -> timedelta:
    """Return how long a far forecast is needed: until its last day was evaluated."""
    return timedelta(days=max(FAR_AHEAD) + 1 + policy.evaluation_days)


def by_calendar(db: Connection, *, now: Moment, horizon: timedelta) -> list[rules.Forecast]:
    """Return what the calendar alone says of each region, as far ahead as `horizon`."""
    policy = replace(settings.read(rules.Policy), horizon=horizon)
    phases, starts_at = settings.read(calendar.Policy), rules.grid(now, policy)
    by_region, parameters = _taking_place(db, starts_at, now + horizon, phases), store.parameters(db)
    zones = calendar_regions.zones(db)
    return [
        rules.forecast(
            region,
            here,
            policy,
            phases,
            starts_at=starts_at,
            **_known(zones[region], region, parameters, starts_at, horizon),
        )
        for region, here in by_region.items()
    ]


def _known(
    zone: str, region: str, parameters: dict[str, shares.Shares], start: datetime, horizon: timedelta
) -> dict[str, Any]:
    """Return what is known of a region besides its weddings."""
    days = (start - timedelta(days=1)).date(), (start + horizon + timedelta(days=2)).date()
    learned = parameters.get(region) or parameters.get(store.EVERY)
    return {"shares": learned, "zone": zone, "holidays": holidays.between(zone, *days)}


@dataclass(frozen=True)
class Ahead:
    """What a region's forecast says of a time ahead.

    The highest of each quantile, and the margin that its scores ask for.
    """

    quantiles: Mapping[str, float]
    margin: float = 1.0

    @property
    def load(self) -> float:
        """Return the load to be ready for: the 90 % quantile with its margin."""
        return self.quantiles["p90"] * self.margin


def expected(db: Connection, leads: Mapping[str, timedelta], *, now: Moment) -> dict[str, Ahead]:
    """Return what each region is to be ready for within its lead, as far as its forecast is trusted.

    A region whose forecaster says too little has a margin; where it is off by more than a margin could mend,
    its word is a floor and no more, and what is seen decides. One without a forecast of now is not in the
    answer.
    """
    scores, found = evaluated(db, now=now), {}
    for lead in set(leads.values()):
        for region, quantiles in store.peaks(db, now, now + lead).items():
            if leads.get(region) == lead:
                found[region] = Ahead(quantiles, scores[region].margin if region in scores else 1.0)
    return found


def latest(db: Connection, region: str, *, before: datetime | None = None) -> rules.Forecast | None:
    """Return a region's newest forecast, or the newest made before a moment; None when there is none."""
    return store.latest(db, before=before).get(region)


def backtest(db: Connection, *, now: Moment) -> dict[str, dict[int, calibration.Score]]:
    """Return how the last days' forecasts did, by region and minutes ahead."""
    evaluate(db, now=now)
    return store.evaluated(db, since=now - VALID_FOR, until=now)


def evaluated(db: Connection, *, now: Moment) -> dict[str, calibration.Score]:
    """Return each region's score that its trust goes by, if there was one in the last day."""
    scores = store.evaluated(db, since=now - VALID_FOR, until=now)
    return {
        region: by_horizon[TRUSTED_BY] for region, by_horizon in scores.items() if TRUSTED_BY in by_horizon
    }


def evaluate(db: Connection, *, now: Moment) -> dict[str, calibration.Score]:
    """Compare forecasts with what was seen, and return the regions' scores that trust goes by."""
    policy = settings.read(rules.Policy)
    since, step = now - timedelta(days=policy.evaluation_days), policy.step.total_seconds()
    seen = {
        region: _by_step(minutes, step)
        for region, minutes in snapshots.by_minute(db, since, rules.grid(now, policy)).items()
    }
    pairs_by_horizon = {ahead: store.pairs(db, ahead, since=since, until=now) for ahead in AHEAD}
    pairs_by_horizon |= {
        timedelta(days=days): store.far_pairs(db, days, since=since, until=now) for days in FAR_AHEAD
    }
    results = [
        (region, int(ahead.total_seconds() // 60), _score(pairs))
        for ahead, scored in pairs_by_horizon.items()
        for region, pairs in _with_loads(scored, seen, step).items()
    ]
    store.evaluate(db, results, at=now)
    return {region: score for region, minutes, score in results if minutes == TRUSTED_BY}


#: Quantiles by name, and the load that was seen.
_Pair = tuple[dict[str, float], float]


def _with_loads(
    scored: Iterable[tuple[str, datetime, dict[str, float]]],
    seen: Mapping[str, Mapping[int, float]],
    step: float,
) -> dict[str, list[_Pair]]:
    """Return by region what was said of steps, each with what was seen in it.

    Without those that nobody measured.
    """
    by_region: dict[str, list[_Pair]] = {}
    for region, at, quantiles in scored:
        if (load := seen.get(region, {}).get(int(at.timestamp() // step))) is not None:
            by_region.setdefault(region, []).append((quantiles, load))
    return by_region


def _score(pairs: list[_Pair]) -> calibration.Score:
    columns = {name: np.array([quantiles[name] for quantiles, _ in pairs]) for name in shares.QUANTILES}
    return calibration.score(columns, np.array([load for _, load in pairs]))


def _by_step(minutes: dict[int, int], step: float) -> dict[int, float]:
    highest: dict[int, float] = {}
    for minute, load in minutes.items():
        at = int(minute * 60 // step)
        highest[at] = max(highest.get(at, 0.0), float(load))
    return highest


def learn(db: Connection, *, now: Moment) -> int:
    """Learn each region's shares from the last weeks and remember them.

    Return how many regions taught something.
    """
    policy, phases = settings.read(rules.Policy), settings.read(calendar.Policy)
    since, step = now - timedelta(days=policy.learn_days), policy.step.total_seconds()
    every = max(1, round(policy.learn_every / policy.step))
    by_region, zones, pasts = _taking_place(db, since, now, phases), calendar_regions.zones(db), {}
    for region, here in by_region.items():
        load = _by_step(snapshots.by_minute(db, since, now, region=region).get(region, {}), step)
        moments = np.array([at for at in sorted(load) if at % every == 0], float)
        if len(moments) >= calibration.ENOUGH:
            values = np.array([load[int(at)] for at in moments.tolist()])
            around = _known(zones[region], region, {}, since, now - since)
            around.pop("shares")
            pasts[region] = rules.seen(here, moments * step, values, policy, phases, **around)
    whole, own = shares.learn(policy.assumed, pasts)
    if pasts:
        store.record_parameters(db, {store.EVERY: whole} | own, at=now)
    return len(pasts)


def _taking_place(
    db: Connection, start: datetime, end: datetime, phases: calendar.Policy
) -> dict[str, list[calendar.Wedding]]:
    """Return, by region, the weddings that are felt in [start, end)."""
    around = phases.setup_before + phases.wind_down_lasts
    by_region: dict[str, list[calendar.Wedding]] = {region: [] for region in calendar_regions.known(db)}
    for wedding in weddings.between(db, start - around, end + around):
        # One may have come since the regions were read.
        by_region.setdefault(wedding.region, []).append(wedding)
    return by_region
