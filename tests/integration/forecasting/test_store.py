"""Forecasts as rows; how high what was measured may climb."""

import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests import ROOT
from tests.made import NOON, wedding
from workers.forecasting.rules import forecast as rules
from workers.forecasting.rules.forecast import Array
from workers.forecasting.rules.peak_forecast import Fitted
from workers.forecasting.rules.shares import QUANTILES
from workers.forecasting.store import fits
from workers.forecasting.store import forecasts as store
from workers.forecasting.usecases import upper_bounds
from workers.foundation import clock, database
from workers.snapshots import store as snapshots
from workers.snapshots.rules import Snapshot
from workers.weddings.formats.rows import Reading
from workers.weddings.rules.calendar import Policy as Phases
from workers.weddings.rules.calendar import Wedding
from workers.weddings.usecases import importing as weddings

pytestmark = pytest.mark.usefixtures("world")


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
        "us-northeast",
        [wedding(starts_at=NOON + timedelta(hours=6))],
        rules.Policy(),
        Phases(),
        starts_at=NOON,
    )
    start, end = (NOON + timedelta(hours=number) for number in hours)
    with database.transaction() as db:
        store.record(db, [made], version=1, at=NOON)
        found = store.peaks(db, start, end).get("us-northeast")
    expected = {name: peak for name in QUANTILES if (peak := made.peak(start, end, name)) is not None}
    assert found == (pytest.approx(expected, abs=0.01) if expected else None)


#: When all of the last minute before noon is written.
SETTLED = NOON + upper_bounds.LANDED


def _measured(minutes: int, *, until: datetime, region: str = "us-northeast", level: int = 400) -> None:
    """Write a snapshot each minute up to `until`, with a day's rhythm."""
    begins = until - timedelta(minutes=minutes)
    waves = level + 100 * np.sin(2 * np.pi * np.arange(minutes) / 1440)
    rows = [
        Snapshot(region, begins + timedelta(minutes=at), int(count))
        for at, count in enumerate(waves.tolist())
    ]
    with database.transaction() as db:
        snapshots.append(db, rows)


def _uppers(now: datetime, *regions: str) -> dict[str, float]:
    return _asked(now, *regions)[0]


def _asked(now: datetime, *regions: str) -> tuple[dict[str, float], set[str]]:
    with database.transaction() as db:
        found, waiting = upper_bounds.upper_bounds(
            db, regions or ("us-northeast", "us-west"), now=now, boot=2, unit=50
        )
    return {region: one.load for region, one in found.items()}, waiting


def _version(region: str = "us-northeast") -> str:
    with database.transaction() as db:
        return fits.known(db)[region].version


def test_how_high_a_regions_connections_may_climb_is_learned_and_followed() -> None:
    _measured(2 * 1440, until=NOON)
    first = _uppers(SETTLED)
    assert first.keys() == {"us-northeast"}
    assert 380 <= first["us-northeast"] <= 700
    fitted = _version()
    later = SETTLED + timedelta(minutes=20)
    with database.transaction() as db:
        # Not each minute has a row.
        snapshots.append(
            db, [Snapshot("us-northeast", NOON + timedelta(minutes=at), 1_500) for at in (5, 12, 19)]
        )
    assert _uppers(later)["us-northeast"] > 1_400
    assert _version() == fitted, "it goes on from what was fitted"
    assert _uppers(SETTLED + timedelta(hours=1)) == {}, "nobody knows what was not measured"


def test_a_few_regions_are_learned_a_run_and_one_that_fails_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    regions = ("a", "b", "c", "d")
    for region in regions:
        _measured(1440, until=NOON, region=region)
    fit = upper_bounds.fit

    def _fail(load: Array, *given: Any, **more: Any) -> Fitted:
        if load.max() > 5_000:
            raise ValueError("unfit")
        return fit(load, *given, **more)

    monkeypatch.setattr(upper_bounds, "fit", _fail)
    with database.transaction() as db:
        snapshots.append(db, [Snapshot("b", NOON - timedelta(minutes=1, seconds=-9), 9_000)])
    found, waiting = _asked(SETTLED, *regions)
    assert (found.keys(), waiting) == ({"a", "c"}, {"b", "d"})
    found, waiting = _asked(SETTLED, *regions)
    assert (found.keys(), waiting) == ({"a", "c", "d"}, {"b"})


def test_a_new_calendar_and_a_clock_that_went_back_are_learned() -> None:
    _measured(2 * 1440, until=NOON)
    assert _uppers(SETTLED)
    fitted = _version()
    assert _uppers(SETTLED - timedelta(minutes=20))
    assert _version() != fitted
    assert _uppers(SETTLED)
    fitted = _version()
    weddings.take(Reading([wedding("w-9", starts_at=NOON + timedelta(hours=3))]), now=clock.now())
    _uppers(SETTLED)
    assert _version() != fitted


def test_a_change_of_the_calendar_is_learned_by_the_regions_that_it_touches() -> None:
    regions = ("east", "north", "west")
    for region in regions:
        _measured(1440, until=NOON, region=region)

    def _changed(*calendar: Wedding) -> set[str]:
        before = {region: _version(region) for region in regions}
        weddings.take(Reading(list(calendar)), now=clock.now())
        for _ in regions:
            _asked(SETTLED, *regions)
        return {region for region in regions if _version(region) != before[region]}

    for _ in regions:
        _asked(SETTLED, *regions)
    soon: dict[str, Any] = {"starts_at": NOON + timedelta(hours=3)}
    assert _changed(wedding("w-1", region="west", **soon)) == {"west"}
    assert _changed(wedding("w-2", region="north", **soon)) == {"north"}
    assert _changed(wedding("w-2", region="east", **soon)) == {"north", "east"}
    assert _changed(wedding("w-1", region="west", guest_count=300, **soon)) == {"west"}
    assert _changed(wedding("w-3", region="elsewhere", **soon)) == set()


@pytest.mark.parametrize(("minutes", "before"), [(600, 0), (2 * 1440, 45)])
def test_what_was_measured_too_short_or_too_long_ago_says_nothing(minutes: int, before: int) -> None:
    _measured(minutes, until=NOON - timedelta(minutes=before))
    assert _uppers(SETTLED) == {}


_ASK = """
import sys
from datetime import datetime, timedelta
from workers.forecasting.usecases.upper_bounds import upper_bounds
from workers.foundation import database
with database.transaction() as db:
    found, _ = upper_bounds(
        db, ["us-northeast"], now=datetime.fromisoformat(sys.argv[1]), boot=2, unit=50.0
    )
print(found["us-northeast"].load.hex(), found["us-northeast"].version)
"""


def test_every_process_says_the_same_to_the_last_bit() -> None:
    """One fits, one goes on with it minute by minute, and one that is new to it goes there at once."""
    _measured(2 * 1440, until=NOON)
    said = []
    for minutes in (0, 1, 7, 30):
        at = SETTLED + timedelta(minutes=minutes)
        _measured(60, until=at - upper_bounds.LANDED, level=450)
        here = _bounds(at)
        there = subprocess.run(
            [sys.executable, "-c", _ASK, at.isoformat()],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=ROOT,
        )
        assert there.stdout.split() == [here.load.hex(), here.version]
        said.append(here)
    assert len({one.version for one in said}) == 1
    assert len({one.load for one in said}) > 1


def test_a_minute_is_taken_once_all_of_it_is_written() -> None:
    """Who reads before the last row of a minute is there, and who reads after it, must agree in the end."""
    _measured(2 * 1440, until=NOON)
    _measured(1, until=NOON + timedelta(minutes=1), level=400)
    early = _bounds(NOON + timedelta(minutes=1, seconds=1))
    with database.transaction() as db:
        snapshots.append(db, [Snapshot("us-northeast", NOON + timedelta(seconds=55), 2_000)])
    here = _bounds(SETTLED + timedelta(minutes=1))
    upper_bounds._advanced.clear()
    assert _bounds(SETTLED + timedelta(minutes=1)) == here
    assert here.load > early.load


def _bounds(now: datetime) -> upper_bounds.UpperBound:
    with database.transaction() as db:
        found, _ = upper_bounds.upper_bounds(db, ["us-northeast"], now=now, boot=2, unit=50.0)  # type: ignore[arg-type]
    return found["us-northeast"]
