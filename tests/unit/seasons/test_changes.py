"""When bookings change their level, and what kind of place it is."""

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from workers.seasons import adapters
from workers.seasons.rules import deciding
from workers.seasons.rules import season as rules
from workers.seasons.rules.changes import levels
from workers.seasons.rules.season import US_MONTHS, Reason, Season
from workers.seasons.rules.venues import PROFILES, factor
from workers.weddings.rules.calendar import Phase, VenueType


def test_a_year_is_cut_where_its_level_changes() -> None:
    counts = np.random.default_rng(5).poisson([10] * 20 + [40] * 12 + [15] * 20)
    spans = levels(counts.tolist())
    starts = [span.start for span in spans]
    assert starts[0] == 0
    assert any(abs(start - 20) <= 1 for start in starts)
    assert any(abs(start - 32) <= 1 for start in starts)
    assert len(spans) <= 4
    assert all(span.stop == following.start for span, following in pairwise(spans))


def test_one_busy_week_is_no_season_and_an_even_year_has_one_level() -> None:
    assert levels([12.0] * 52) == [slice(0, 52)]
    week = [12.0] * 25 + [30.0] + [12.0] * 26
    assert levels(week) == [slice(0, 52)]
    assert levels([5.0]) == [slice(0, 1)]


def test_a_cut_that_the_calendar_expects_needs_less_proof() -> None:
    counts = [10.0] * 26 + [15.5] * 26
    assert levels(counts, penalty=8) == [slice(0, 52)]
    assert levels(counts, [26], penalty=8) == [slice(0, 26), slice(26, 52)]


@pytest.mark.parametrize("wrong", [[1.0, float("nan")], [-1.0, 2.0]])
def test_counts_that_are_none_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        levels(wrong)


def test_a_season_does_not_come_and_go() -> None:
    chance, policy = np.random.default_rng(3), rules.Policy()
    days = [date(2025, 1, 1) + timedelta(days=day) for day in range(900)]
    weekdays = (1.5, 1.5, 2, 5, 15, 62, 13)
    expected = [
        2000 * US_MONTHS[day.month - 1] / 100 * weekdays[day.weekday()] / 100 * 7 / 30.4 for day in days
    ]
    bookings = list(zip(days, chance.poisson(expected).tolist(), strict=True))
    before, changes = None, []
    for day in days[200:565]:
        found = deciding.decide("us-northeast", bookings, policy, today=day, before=before)
        if found.season is not before:
            changes.append((day, found.season))
            before = found.season
    assert 3 <= len(changes) <= 8
    autumn = next(day for day, season in changes if season is Season.PEAK and day > date(2025, 8, 1))
    assert date(2025, 8, 20) <= autumn <= date(2025, 9, 20)


def test_load_that_was_seen_says_what_bookings_do_not() -> None:
    today = date(2026, 1, 15)
    quiet = [(today - timedelta(days=ago), 100.0) for ago in range(40, 360)]
    busy = [(today - timedelta(days=ago), 900.0) for ago in range(40)]
    found = deciding.decide("au-sydney", [], rules.Policy(), today=today, loads=quiet + busy)
    assert (found.season, found.reason) == (Season.PEAK, Reason.CALENDAR)
    trusting = rules.Policy(load_weddings=200)
    assert deciding.decide("au-sydney", [], trusting, today=today, loads=quiet + busy).reason is Reason.LOAD


def test_every_kind_of_venue_has_its_profile() -> None:
    assert set(PROFILES) == set(VenueType)
    assert factor(VenueType.CHURCH, Phase.CEREMONY) < factor(VenueType.BANQUET_HALL, Phase.CEREMONY)
    assert PROFILES[VenueType.BEACH].lead > PROFILES[VenueType.CHURCH].lead


def test_holidays_are_those_of_the_regions_country() -> None:
    assert adapters.name("America/New_York", date(2026, 9, 7)) == "Labor Day"
    assert adapters.name("Europe/Berlin", date(2026, 10, 3))
    assert adapters.name("America/New_York", date(2026, 9, 8)) == ""
    assert adapters.name("Nowhere/Else", date(2026, 9, 7)) == adapters.name("UTC", date(2026, 9, 7)) == ""
    assert adapters.between("America/Phoenix", date(2026, 9, 1), date(2026, 10, 1)) == {date(2026, 9, 7)}
