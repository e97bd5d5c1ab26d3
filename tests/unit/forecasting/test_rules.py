"""Load from the calendar."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import NOON, wedding
from tests.unit.weddings.test_formats import GOOD, HEADER
from workers.forecasting.rules import forecast as rules
from workers.weddings.formats import csv
from workers.weddings.rules.calendar import Phase, VenueType, phase
from workers.weddings.rules.calendar import Policy as Phases

POLICY, PHASES = rules.Policy(), Phases()


def _forecast(*weddings: object, starts_at: datetime = NOON - timedelta(hours=6)) -> rules.Forecast:
    return rules.forecast("us-northeast", list(weddings), POLICY, PHASES, starts_at=starts_at)  # type: ignore[arg-type]


@given(st.integers(0, 40), st.integers(0, 600), st.sampled_from(list(VenueType)))
def test_the_load_at_a_step_is_that_of_the_phase(half_hours: int, guests: int, venue: VenueType) -> None:
    one = wedding(guest_count=guests, venue_type=venue)
    at = NOON - timedelta(hours=6) + timedelta(minutes=30) * half_hours
    expected = rules.participants(one, phase(one, PHASES, now=at), POLICY)
    assert _forecast(one).peak(at, at, "p50") == pytest.approx(expected, abs=1e-6)


def test_weddings_add_up_and_their_spread_does_not() -> None:
    one, four = _forecast(wedding()), _forecast(*(wedding(f"w-{n}") for n in range(4)))
    at = NOON + timedelta(hours=2)
    assert four.peak(at, at, "p50") == pytest.approx(4 * one.peak(at, at, "p50"))  # type: ignore[operator]
    margin = [found.peak(at, at) - found.peak(at, at, "p50") for found in (one, four)]  # type: ignore[operator]
    # Twice as much but for what all of a moment have in common.
    assert 2 * margin[0] < margin[1] < 2.2 * margin[0]


def test_quantiles_are_in_order_everywhere() -> None:
    found = _forecast(wedding(), wedding("w-2", starts_at=NOON + timedelta(hours=1)))
    assert (found.quantiles["p50"] <= found.quantiles["p90"]).all()
    assert (found.quantiles["p90"] <= found.quantiles["p99"]).all()


def test_a_wedding_that_runs_already_counts_from_the_first_step() -> None:
    assert _forecast(wedding(), starts_at=NOON + timedelta(hours=3)).quantiles["p50"][0] > 40


def test_outside_its_horizon_a_forecast_says_nothing() -> None:
    found = _forecast(wedding())
    assert found.peak(NOON + timedelta(days=30), NOON + timedelta(days=31)) is None
    assert found.peak(NOON - timedelta(days=30), NOON - timedelta(days=29)) is None


def test_planning_and_over_need_nothing() -> None:
    assert rules.participants(wedding(), Phase.PLANNING, POLICY) == 0
    assert rules.participants(wedding(), Phase.OVER, POLICY) == 0


def test_what_was_seen_pulls_more_the_more_people_it_was() -> None:
    few, many = rules.pull([10.0], [20.0], POLICY), rules.pull([1000.0], [2000.0], POLICY)
    assert 1 < few < many < 2
    assert rules.pull([0.0], [5.0], POLICY) == 1.0
    assert rules.pull([5.0], [], POLICY) == 1.0
    assert rules.pull([1.0], [1e6], POLICY) == POLICY.pull_max


@pytest.mark.parametrize(
    ("start", "end", "zone", "hours"),
    [
        ("2026-10-31T19:00", "2026-11-01T03:00", "America/New_York", 9),
        ("2027-03-13T19:00", "2027-03-14T04:00", "America/New_York", 8),
        ("2026-10-31T19:00", "2026-11-01T03:00", "America/Phoenix", 8),
        ("2027-03-13T19:00", "2027-03-14T03:00", "Pacific/Honolulu", 8),
    ],
)
def test_a_night_in_which_the_clocks_change_is_as_long_as_it_is(
    start: str, end: str, zone: str, hours: int
) -> None:
    row = (
        GOOD.replace("2026-10-10T15:00", start)
        .replace("2026-10-10T21:00", end)
        .replace("America/New_York", zone)
    )
    [one] = csv.read((HEADER + row).encode()).weddings
    assert one.ends_at - one.starts_at == timedelta(hours=hours)
    made = _forecast(one, starts_at=one.starts_at)
    evening = rules.participants(one, Phase.RECEPTION, POLICY)
    during = int((abs(made.quantiles["p50"] - evening) < 1e-6).sum())
    assert during * POLICY.step == timedelta(hours=hours) - PHASES.ceremony_lasts


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Australia/Adelaide", "America/New_York", "UTC"])
def test_the_hour_of_the_week_is_that_of_the_clocks(zone: str) -> None:
    moments = NOON.timestamp() + np.arange(0, 8 * 86_400, 420.0)
    local = [datetime.fromtimestamp(moment, ZoneInfo(zone)) for moment in moments.tolist()]
    assert rules.hours_of_week(moments, zone).tolist() == [at.weekday() * 24 + at.hour for at in local]
