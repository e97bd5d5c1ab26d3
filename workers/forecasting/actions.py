"""Forecasting every region: the calendar's part, drawn to what was seen in the last hour."""

from datetime import datetime

from sqlalchemy import Connection

from workers.forecasting import rules
from workers.foundation import settings
from workers.metrics import store as metrics
from workers.weddings import rules as calendar
from workers.weddings import store as weddings


def forecasts(db: Connection, *, now: datetime) -> list[rules.Forecast]:
    """Return a forecast for each region of the calendar."""
    policy, phases = settings.read(rules.Policy, "FORECASTING_"), settings.read(calendar.Policy, "WEDDINGS_")
    around = phases.setup_before + phases.wind_down_lasts
    since = rules.grid(now - policy.pull_from, policy)
    by_region: dict[str, list[calendar.Wedding]] = {region: [] for region in weddings.regions(db)}
    for wedding in weddings.between(db, since - around, now + policy.horizon + around):
        by_region[wedding.region].append(wedding)
    seen = metrics.history(db, since, now)
    made = []
    for region, taking_place in by_region.items():
        past = rules.forecast(region, taking_place, policy, phases, starts_at=since)
        points = [(at, float(count)) for where, at, count in seen if where == region]
        expected = [past.peak(at, at, "p50") or 0.0 for at, _ in points]
        ratio = rules.pull(expected, [count for _, count in points], policy)
        starts_at = rules.grid(now, policy)
        made.append(rules.forecast(region, taking_place, policy, phases, starts_at=starts_at, ratio=ratio))
    return made
