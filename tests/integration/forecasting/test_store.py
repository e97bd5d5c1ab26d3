"""Forecasts as rows; how high what was measured may climb."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.made import NOON, wedding
from workers.forecasting import rules, store
from workers.forecasting.actions import uppers
from workers.forecasting.rules import Array
from workers.forecasting.rules.shares import QUANTILES
from workers.foundation import clock, database
from workers.metrics import store as metrics
from workers.metrics.rules import Snapshot
from workers.weddings import actions as weddings
from workers.weddings.formats.rows import Reading
from workers.weddings.rules import Policy as Phases

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture(autouse=True)
def _nothing_learned() -> None:
    uppers._learned.clear()


def test_a_repeated_refresh_changes_nothing_and_a_new_calendar_does() -> None:
    made = rules.forecast("us-northeast", [wedding()], rules.Policy(), Phases(), starts_at=NOON)
    with database.transaction() as db:
        assert [store.record(db, [made], version=version, at=NOON) for version in (1, 1, 2)] == [1, 0, 1]
        assert store.count(db) == 2
        read = store.latest(db)["us-northeast"]
    assert read.starts_at == NOON
    assert np.allclose(read.quantiles["p90"], made.quantiles["p90"], atol=0.01)
    assert read.peak(NOON, NOON) == pytest.approx(made.peak(NOON, NOON), abs=0.01)


@pytest.mark.parametrize("hours", [(-1, 1), (0, 0), (0, 2), (7.9, 8.3), (47, 60), (48, 60), (-9, -8)])
def test_the_highest_of_a_span_is_read_without_the_rest(hours: tuple[float, float]) -> None:
    made = rules.forecast(
        "us-northeast", [wedding(starts_at=NOON + timedelta(hours=6))], rules.Policy(), Phases(), starts_at=NOON
    )
    start, end = (NOON + timedelta(hours=number) for number in hours)
    with database.transaction() as db:
        store.record(db, [made], version=1, at=NOON)
        found = store.peaks(db, start, end).get("us-northeast")
    expected = {name: peak for name in QUANTILES if (peak := made.peak(start, end, name)) is not None}
    assert found == (pytest.approx(expected, abs=0.01) if expected else None)


def _measured(minutes: int, *, until: datetime, region: str = "us-northeast", level: int = 400) -> None:
    """Write a snapshot each minute up to `until`, with a day's rhythm."""
    begins = until - timedelta(minutes=minutes)
    waves = level + 100 * np.sin(2 * np.pi * np.arange(minutes) / 1440)
    rows = [Snapshot(region, begins + timedelta(minutes=at), int(count)) for at, count in enumerate(waves.tolist())]
    with database.transaction() as db:
        metrics.append(db, rows)


def _uppers(now: datetime, *regions: str) -> dict[str, float]:
    return _asked(now, *regions)[0]


def _asked(now: datetime, *regions: str) -> tuple[dict[str, float], set[str]]:
    with database.transaction() as db:
        return uppers.uppers(db, regions or ("us-northeast", "us-west"), now=now, boot=timedelta(minutes=2), unit=50)


def test_how_high_a_regions_connections_may_climb_is_learned_and_followed() -> None:
    _measured(2 * 1440, until=NOON)
    first = _uppers(NOON)
    assert first.keys() == {"us-northeast"}
    assert 380 <= first["us-northeast"] <= 700
    learned = uppers._learned["us-northeast"]
    later = NOON + timedelta(minutes=20)
    with database.transaction() as db:
        # Not each minute has a row.
        metrics.append(db, [Snapshot("us-northeast", NOON + timedelta(minutes=at), 1_500) for at in (5, 12, 19)])
    assert _uppers(later)["us-northeast"] > 1_400
    assert uppers._learned["us-northeast"] is learned
    assert learned.next == int(later.timestamp()) // 60
    assert _uppers(NOON + timedelta(hours=1)) == {}, "nobody knows what was not measured"


def test_a_few_regions_are_learned_a_run_and_one_that_fails_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = ("a", "b", "c", "d")
    for region in regions:
        _measured(1440, until=NOON, region=region)
    fit = uppers.Outlook

    def _fail(load: Array, *given: Any, **more: Any) -> uppers.Outlook:
        if load.max() > 5_000:
            raise ValueError("unfit")
        return fit(load, *given, **more)

    monkeypatch.setattr(uppers, "Outlook", _fail)
    with database.transaction() as db:
        metrics.append(db, [Snapshot("b", NOON - timedelta(minutes=1, seconds=-9), 9_000)])
    found, waiting = _asked(NOON, *regions)
    assert (found.keys(), waiting) == ({"a", "c"}, {"b", "d"})
    found, waiting = _asked(NOON, *regions)
    assert (found.keys(), waiting) == ({"a", "c", "d"}, {"b"})


def test_a_new_calendar_and_a_clock_that_went_back_are_learned() -> None:
    _measured(2 * 1440, until=NOON)
    assert _uppers(NOON)
    learned = uppers._learned["us-northeast"]
    assert _uppers(NOON - timedelta(minutes=20))
    assert uppers._learned["us-northeast"] is not learned
    assert _uppers(NOON)
    learned = uppers._learned["us-northeast"]
    weddings.take(Reading([wedding("w-9", starts_at=NOON + timedelta(hours=3))]), now=clock.now())
    _uppers(NOON)
    assert uppers._learned["us-northeast"] is not learned


@pytest.mark.parametrize(("minutes", "before"), [(600, 0), (2 * 1440, 45)])
def test_what_was_measured_too_short_or_too_long_ago_says_nothing(minutes: int, before: int) -> None:
    _measured(minutes, until=NOON - timedelta(minutes=before))
    assert _uppers(NOON) == {}
