"""Changes of season, recorded once."""

from datetime import timedelta

import pytest

from tests.made import NOON
from workers.foundation import clock, database
from workers.seasons import store
from workers.seasons.rules import Decision, KindOfDay, Reason, Season

pytestmark = pytest.mark.usefixtures("world")

PEAK = Decision(Season.PEAK, Reason.BOOKINGS, 1.5)
OFF = Decision(Season.OFF, Reason.BOOKINGS, 0.2)


def test_only_a_change_is_recorded() -> None:
    with database.transaction() as db:
        assert store.record(db, {"east": PEAK, "west": OFF}, at=NOON) == {"east": Season.PEAK, "west": Season.OFF}
        assert store.record(db, {"east": PEAK, "west": PEAK}, at=NOON) == {"west": Season.PEAK}
        assert store.current(db) == {"east": Season.PEAK, "west": Season.PEAK}


def test_a_change_of_the_kind_of_day_is_told_once() -> None:
    assert store.kind_of_day() is KindOfDay.ORDINARY
    assert store.tell_day(KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR) is KindOfDay.ORDINARY
    assert store.tell_day(KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR) is None
    assert store.kind_of_day() is KindOfDay.WEDDING_DAY


def test_a_wedding_days_pace_is_kept_until_a_moment_on_any_day() -> None:
    store.keep_pace(clock.now() + timedelta(hours=1))
    assert store.kind_of_day() is KindOfDay.WEDDING_DAY
    assert store.tell_day(KindOfDay.SEASON, Reason.BOOKINGS) is KindOfDay.ORDINARY
    store.keep_pace(clock.now() - timedelta(seconds=1))
    assert store.kind_of_day() is KindOfDay.SEASON
