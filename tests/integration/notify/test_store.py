"""Notifications: sent once a key and channel, tried again when a target fails."""

from datetime import timedelta

import pytest

from tests.made import NOON, receiver
from workers.foundation import clock, database
from workers.notify import adapters, store, tasks, usecases
from workers.notify.rules import Notification, Policy

pytestmark = pytest.mark.usefixtures("world")

ONE = Notification("alert/1/1.1", "slow", "see the runbook", "high")


def _tell(who: str = "operations", wedding_id: str = "") -> int:
    with database.transaction() as db:
        return usecases.tell(db, ONE, at=NOON, who=who, wedding_id=wedding_id)


def test_a_key_is_written_and_sent_once_to_each_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as (first, got), receiver() as (second, also):
        monkeypatch.setenv("NOTIFY_TARGETS", f"{first} {second}")
        assert [_tell(), _tell()] == [2, 0]
        tasks.deliver()
        tasks.deliver()
    assert got == [("alert/1/1.1/operations/target-1", "slow")]
    assert also == [("alert/1/1.1/operations/target-2", "slow")]


def test_a_channel_that_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(500) as (broken, tries), receiver() as (whole, got):
        monkeypatch.setenv("NOTIFY_TARGETS", f"{broken} {whole}")
        _tell()
        tasks.deliver()
    assert (len(tries), len(got)) == (1, 1)


def test_a_target_that_hangs_is_left_after_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(delay=1.5) as (slow, _), receiver() as (whole, got):
        monkeypatch.setenv("NOTIFY_TARGETS", f"{slow} {whole}")
        monkeypatch.setenv("NOTIFY_PATIENCE", "200ms")
        _tell()
        tasks.deliver()
        assert [title for _, title in got] == ["slow"]
    with database.transaction() as db:
        assert store.overdue(db, attempts=1) == 1


def test_a_target_that_fails_is_tried_again_later_and_later_and_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tried_at: list[int] = []
    with receiver(503) as (target, tries):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        _tell()
        start = clock.machine_now()
        for seconds in range(0, 60, 4):
            monkeypatch.setattr(usecases.clock, "machine_now", lambda now=start + timedelta(seconds=seconds): now)
            tasks.deliver()
            tried_at += [seconds] * (len(tries) - len(tried_at))
    assert tried_at == [0, 8, 24, 56]
    with database.transaction() as db:
        assert store.overdue(db) == 1
        db.execute(store.notifications.update().values(attempts=Policy().attempts))
        assert store.claim(db, Policy(), at=start + timedelta(days=9)) is None


def test_two_who_send_at_once_do_not_take_the_same() -> None:
    _tell()
    at = clock.machine_now()
    with database.engine().begin() as one, database.engine().begin() as other:
        assert store.claim(one, Policy(), at=at)
        assert store.claim(other, Policy(), at=at) is None


def test_people_are_told_where_they_are_reached_and_operations_in_the_place_of_who_is_not() -> None:
    with database.transaction() as db:
        store.register(db, who="lead", channel="pager", url="log://")
        store.register(db, who="contacts", channel="sms", url="log://", wedding_id="w-1")
        assert usecases.reached(db, "lead") == [("lead", "", "pager")]
        assert usecases.reached(db, "contacts", "w-1") == [("contacts", "w-1", "sms")]
        assert usecases.reached(db, "contacts", "w-2") == [("operations", "", "target-1")]
        assert store.registered(db) == [("contacts", "w-1", "sms"), ("lead", "", "pager")]


def test_what_is_withdrawn_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as (target, got):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        _tell()
        with database.transaction() as db:
            store.withdraw(db, ["alert/1/1.1/operations/target-1"])
        tasks.deliver()
    assert got == []


def test_a_target_that_apprise_does_not_know_is_named_by_its_place_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_TARGETS", "log:// nonsense://secret")
    with pytest.raises(adapters.TargetsInvalid, match="target 2 is no address") as caught:
        adapters.check_targets()
    assert "secret" not in str(caught.value)
