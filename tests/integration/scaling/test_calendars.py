"""Calendars of no wedding and of a hundred thousand: safe decisions, in bounded time."""

from datetime import date, timedelta

import numpy as np
import pytest

from tests.made import NOON
from workers.alerts import tasks as alerts
from workers.forecasting import tasks as forecasts
from workers.forecasting.store import forecasts as forecasting
from workers.foundation import clock, database
from workers.scaling import tasks
from workers.scaling.store import actions as store
from workers.scaling.store import capacity
from workers.seasons import store as seasons
from workers.seasons import tasks as season_tasks
from workers.simulation.rules import imagined
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


def _run_all() -> None:
    for task in (
        season_tasks.detect,
        forecasts.refresh,
        forecasts.evaluate,
        forecasts.learn,
        tasks.decide,
        tasks.verify,
    ):
        task()
    tasks.reconcile()
    tasks.look_ahead()
    alerts.watch()


def test_without_a_wedding_nothing_is_decided() -> None:
    _run_all()
    with database.transaction() as db:
        assert (store.count(db), forecasting.count(db), capacity.known(db)) == (0, 0, [])


# It keeps a processor busy for half a minute: nothing that measures time runs beside it.
@pytest.mark.xdist_group("system")
@pytest.mark.timeout(300)
def test_a_hundred_thousand_weddings_are_forecast_and_decided() -> None:
    today = clock.now().date()
    days = [today + timedelta(days=day) for day in range(-30, 330)]
    calendar = list(imagined.weddings(days, 105_000, np.random.default_rng(7)))
    assert 90_000 < len(calendar) < 120_000
    with database.transaction() as db:
        change = weddings.upsert(db, calendar, at=NOON)
    assert change.added == len(calendar)
    _run_all()
    with database.transaction() as db:
        assert set(seasons.current(db)) == set(imagined.REGIONS)
        assert set(forecasting.latest(db)) == set(imagined.REGIONS)
        full = capacity.known(db)
        assert {action.region for action in store.latest(db).values()} <= {*imagined.REGIONS, "everywhere"}
    assert full
    assert all(isinstance(one.day, date) and one.needed > one.max for one in full)
