"""Changes of season, recorded once."""

from datetime import timedelta

import pytest

from tests.made import NOON, wedding
from workers.commands.store import requests as commands
from workers.foundation import clock, database
from workers.seasons import store, tasks, usecases
from workers.seasons.rules.season import Decision, KindOfDay, Reason, Season
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")

PEAK = Decision(Season.PEAK, Reason.BOOKINGS, 1.5)
OFF = Decision(Season.OFF, Reason.BOOKINGS, 0.2)


def test_only_a_change_is_recorded() -> None:
    with database.transaction() as db:
        assert store.record(db, {"east": PEAK, "west": OFF}, at=NOON) == {
            "east": Season.PEAK,
            "west": Season.OFF,
        }
        assert store.record(db, {"east": PEAK, "west": PEAK}, at=NOON) == {"west": Season.PEAK}
        assert store.current(db) == {"east": Season.PEAK, "west": Season.PEAK}


def test_a_change_of_the_kind_of_day_is_told_once() -> None:
    assert store.kind_of_day(clock.now()) is KindOfDay.ORDINARY
    assert store.publish_day(KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR) is KindOfDay.ORDINARY
    assert store.publish_day(KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR) is None
    assert store.kind_of_day(clock.now()) is KindOfDay.WEDDING_DAY


def test_a_wedding_days_pace_is_kept_until_a_moment_on_any_day() -> None:
    store.keep_pace(clock.now() + timedelta(hours=1))
    assert store.kind_of_day(clock.now()) is KindOfDay.WEDDING_DAY
    assert store.publish_day(KindOfDay.SEASON, Reason.BOOKINGS) is KindOfDay.ORDINARY
    store.keep_pace(clock.now() - timedelta(seconds=1))
    assert store.kind_of_day(clock.now()) is KindOfDay.SEASON


def test_a_peak_that_begins_is_warmed_up_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEASONS_PEAK_FROM", "0.01")
    monkeypatch.setenv("SEASONS_SHOULDER_FROM", "0.001")
    monkeypatch.setattr(usecases, "WARMED", 2)
    soon = clock.now() + timedelta(days=2)
    with database.transaction() as db:
        calendar = [wedding(f"w-{guests}", starts_at=soon, guest_count=guests) for guests in (50, 300, 200)]
        weddings.upsert(
            db, [*calendar, wedding("w-far", starts_at=soon + timedelta(days=30), guest_count=600)], at=NOON
        )
    for _ in range(2):
        tasks.detect()
    with database.transaction() as db:
        assert store.current(db) == {"us-northeast": Season.PEAK}
        asked = [row.message["wedding_id"] for row in db.execute(commands.requests.select())]
    assert sorted(asked) == ["w-200", "w-300"]


def test_the_highest_load_of_a_day_is_noted_and_read_by_day() -> None:
    with database.transaction() as db:
        for load in (90.0, 120.0):
            store.note_loads(db, {"east": load, "west": 5.0}, day=NOON.date())
        assert store.observed(db, since=NOON.date()) == {
            "east": [(NOON.date(), 120.0)],
            "west": [(NOON.date(), 5.0)],
        }
        assert store.observed(db, since=NOON.date() + timedelta(days=1)) == {}
