"""What is over for long is dropped, what stands is not."""

from datetime import timedelta

import pytest

from tests.made import NOON, wedding
from workers.alerts.store import alerts
from workers.commands.rules.requests import Request
from workers.commands.store import requests as commands
from workers.emergencies.rules import Step
from workers.emergencies.store import emergencies, steps
from workers.foundation import database
from workers.retention import rules, store, tasks
from workers.weddings.store import versions, weddings

pytestmark = pytest.mark.usefixtures("world")


def _forget(days: int = 401) -> dict[str, int]:
    dropped, waiting = store.drop(before=NOON + timedelta(days=days - rules.Policy().keep_days), enough=9.0)
    assert not waiting
    return dropped


def test_a_request_goes_when_it_is_settled_for_long_and_stays_while_it_waits() -> None:
    with database.transaction() as db:
        for key in ("done", "waits"):
            commands.accept(db, [Request(key, "a.task", {})], at=NOON)
        commands.settle(db, "done", at=NOON)
    assert _forget(400) == {}
    assert _forget() == {"requests": 1}
    with database.transaction() as db:
        assert commands.find(db, "waits")
        assert not commands.find(db, "done")


def test_what_belongs_to_a_row_goes_with_it() -> None:
    with database.transaction() as db:
        step = Step(what="call the venue", owner="planner", within_minutes=1)
        for key in ("closed", "open"):
            facts = {"key": key, "kind": f"power_cut {key}", "wedding_id": "w-1"}
            found = emergencies.open_or_join(db, **facts, at=NOON)
            steps.write(db, found.id, [step], at=NOON)
        emergencies.close(db, 1, at=NOON)
    assert _forget() == {"emergencies": 1}
    with database.transaction() as db:
        assert [one.id for one in emergencies.active(db)] == [2]
        assert [row.emergency_id for row in db.execute(steps.steps.select())] == [2]


def test_the_calendar_as_it_was_known_stays_as_far_back_as_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "AT_ONCE", 1)
    with database.transaction() as db:
        for day, guests in ((0, 10), (100, 20), (200, 30), (390, 40)):
            weddings.upsert(db, [wedding(guest_count=guests), wedding("w-2")], at=NOON + timedelta(days=day))
    # On day 700 what was known from day 300 on is kept: the version of day 200 held then.
    assert _forget(700) == {"wedding_versions": 2}
    with database.transaction() as db:
        around = NOON - timedelta(days=1), NOON + timedelta(days=1)
        known = [
            {one.id: one.guest_count for one in versions.as_known(db, NOON + timedelta(days=day), *around)}
            for day in (300, 391)
        ]
    assert known == [{"w-1": 30, "w-2": 100}, {"w-1": 40, "w-2": 100}]


def test_no_standing_alert_is_dropped_and_the_daily_run_does_it() -> None:
    row = {
        "fingerprint": "f", "kind": "cpu", "subject": "n1", "severity": "high", "value": 1.0, "detail": "",
        "since": NOON,
        "seen_at": NOON, "worst": "high",
    }  # fmt: skip
    old = NOON - timedelta(days=2000)
    with database.transaction() as db:
        for state, ended in (("firing", None), ("resolved", old)):
            db.execute(alerts.alerts.insert().values(**row, state=state, resolved_at=ended))
        change = {"alert_id": 2, "state": "resolved", "severity": "high", "reason": "over", "at": old}
        db.execute(alerts.events.insert().values(**change))
    tasks.forget()
    with database.transaction() as db:
        assert [(one.id, one.state) for one in db.execute(alerts.alerts.select())] == [(1, "firing")]
        assert db.execute(alerts.events.select()).all() == []


def test_a_backlog_ends_when_its_time_is_over_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store, "AT_ONCE", 1)
    with database.transaction() as db:
        for number in range(3):
            commands.accept(db, [Request(f"k-{number}", "a.task", {})], at=NOON)
            commands.settle(db, f"k-{number}", at=NOON)
    dropped, waiting = store.drop(before=NOON + timedelta(days=1), enough=0.0)
    assert (dropped, "requests" in waiting) == ({}, True)
    assert store.drop(before=NOON + timedelta(days=1), enough=9.0) == ({"requests": 3}, [])


def test_a_table_that_somebody_holds_keeps_no_other_waiting() -> None:
    with database.transaction() as db:
        emergencies.open_or_join(db, key="k", kind="power_cut", wedding_id="w-1", at=NOON)
        emergencies.close(db, 1, at=NOON)
        commands.accept(db, [Request("k", "a.task", {})], at=NOON)
        commands.settle(db, "k", at=NOON)
    with database.transaction() as db:
        db.execute(emergencies.emergencies.select().with_for_update())
        dropped, waiting = store.drop(before=NOON + timedelta(days=1), enough=30.0)
    assert (dropped, waiting) == ({"requests": 1}, ["emergencies"])
