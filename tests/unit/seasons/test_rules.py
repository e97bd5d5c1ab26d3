"""Season and kind of day."""

from datetime import date, timedelta

import pytest

from tests.made import NOON, wedding
from workers.seasons.rules import deciding
from workers.seasons.rules import season as rules
from workers.seasons.rules.season import KindOfDay, Reason, Season

POLICY = rules.Policy()


@pytest.mark.parametrize(
    ("region", "month", "season"),
    [
        ("us-northeast", 10, Season.PEAK),
        ("us-northeast", 1, Season.OFF),
        ("us-northeast", 8, Season.SHOULDER),
        ("us-northeast", 11, Season.SHOULDER),
        ("us-south", 11, Season.PEAK),
    ],
)
def test_without_bookings_the_calendar_decides(region: str, month: int, season: Season) -> None:
    found = deciding.decide(region, [], POLICY, today=date(2026, month, 15))
    assert (found.season, found.reason) == (season, Reason.CALENDAR)


def test_many_bookings_outweigh_the_calendar() -> None:
    january = date(2026, 1, 15)
    summer = [(date(2026, 1, 1) + timedelta(days=day), 20) for day in range(28)]
    found = deciding.decide("au-sydney", summer, POLICY, today=january)
    assert (found.season, found.reason) == (Season.PEAK, Reason.BOOKINGS)


def test_bookings_far_away_do_not_count() -> None:
    last_year = [(date(2024, 10, 10), 10_000)]
    assert deciding.decide("us-west", last_year, POLICY, today=date(2026, 1, 15)).season is Season.OFF


@pytest.mark.parametrize(
    ("hours", "kind"),
    [
        (-4.1, KindOfDay.ORDINARY),
        (-4, KindOfDay.WEDDING_DAY),
        (8.9, KindOfDay.WEDDING_DAY),
        (9, KindOfDay.ORDINARY),
    ],
)
def test_a_wedding_that_is_near_makes_it_a_wedding_day(hours: float, kind: KindOfDay) -> None:
    found, _ = rules.kind_of_day([wedding()], [Season.SHOULDER], POLICY, now=NOON + timedelta(hours=hours))
    assert found is kind


def test_a_peak_anywhere_makes_it_season() -> None:
    assert rules.kind_of_day([], [Season.OFF, Season.PEAK], POLICY, now=NOON) == (
        KindOfDay.SEASON,
        Reason.PEAK_SEASON,
    )


def test_thresholds_that_leave_no_shoulder_are_refused() -> None:
    with pytest.raises(ValueError, match="below peak_from"):
        rules.Policy(peak_from=0.5)
