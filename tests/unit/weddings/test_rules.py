"""Phases and zone-true times."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import NOON, wedding
from workers.weddings.rules import calendar as rules

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("hours", "phase"),
    [
        (-4.01, rules.Phase.PLANNING),
        (-4, rules.Phase.SETUP),
        (0, rules.Phase.CEREMONY),
        (0.99, rules.Phase.CEREMONY),
        (1, rules.Phase.RECEPTION),
        (6, rules.Phase.WIND_DOWN),
        (8.99, rules.Phase.WIND_DOWN),
        (9, rules.Phase.OVER),
    ],
)
def test_each_phase_begins_where_the_one_before_ends(hours: float, phase: rules.Phase) -> None:
    assert rules.phase(wedding(), rules.Policy(), now=NOON + timedelta(hours=hours)) is phase


def test_a_wedding_shorter_than_a_ceremony_has_no_reception() -> None:
    short = wedding(hours=0.5)
    assert rules.phase(short, rules.Policy(), now=NOON + timedelta(minutes=31)) is rules.Phase.WIND_DOWN


def test_a_time_that_clocks_skip_is_a_problem_with_its_remedy() -> None:
    found = rules.instant(datetime(2027, 3, 14, 2, 30), NEW_YORK)
    assert found.at is None
    assert "does not exist in America/New_York" in str(found.problem)
    assert "an hour later" in str(found.problem)


def test_a_time_that_clocks_show_twice_holds_capacity_longest() -> None:
    twice = datetime(2026, 11, 1, 1, 30)
    start, end = rules.instant(twice, NEW_YORK), rules.instant(twice, NEW_YORK, end=True)
    assert start.at == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert end.at == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert "took the earlier" in str(start.note)
    assert "took the later" in str(end.note)


def test_a_saturday_night_over_the_change_of_clocks_is_an_hour_longer() -> None:
    start = rules.instant(datetime(2026, 10, 31, 20), NEW_YORK)
    end = rules.instant(datetime(2026, 11, 1, 3), NEW_YORK, end=True)
    assert start.at
    assert end.at
    assert end.at - start.at == timedelta(hours=8)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "EST5"])
def test_a_wrong_zone_is_named(zone: str) -> None:
    assert f"zone={zone!r} is no IANA zone" in str(rules.instant(datetime(2026, 5, 1, 12), zone).problem)


@given(
    local=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
    zone=st.sampled_from(
        ["America/New_York", "America/Phoenix", "Pacific/Honolulu", "Europe/Berlin", "Australia/Lord_Howe"]
    ),
    end=st.booleans(),
)
def test_an_instant_shows_the_wall_clock_that_was_agreed(local: datetime, zone: str, end: bool) -> None:
    found = rules.instant(local, zone, end=end)
    assert (found.at is None) == (found.problem is not None)
    if found.at:
        assert found.at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local
