"""Notifications: sent once a key and channel, tried again when a target fails."""

from dataclasses import replace

import pytest

from tests.made import due_now, receiver
from workers.foundation import database
from workers.notify import adapters, formats, store, tasks, usecases
from workers.notify.rules import Notification, Target
from workers.outbox import store as outbox
from workers.outbox import usecases as sending
from workers.outbox.rules import Lane, State

pytestmark = pytest.mark.usefixtures("world")

ONE = Notification("alert/1/1.1", "slow", "see the runbook", "high")


def _publish(recipient: str = "operations", wedding_id: str = "") -> int:
    with database.transaction() as db:
        return usecases.publish(db, ONE, recipient=recipient, wedding_id=wedding_id)


def test_a_key_is_written_and_sent_once_to_each_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as (first, got), receiver() as (second, also):
        monkeypatch.setenv("NOTIFY_TARGETS", f"{first} {second}")
        assert [_publish(), _publish()] == [2, 0]
        tasks.deliver()
        tasks.deliver()
    assert got == [("alert/1/1.1/operations/target-1", "slow")]
    assert also == [("alert/1/1.1/operations/target-2", "slow")]


def test_a_channel_that_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(500) as (broken, tries), receiver() as (whole, got):
        monkeypatch.setenv("NOTIFY_TARGETS", f"{broken} {whole}")
        _publish()
        tasks.deliver()
    assert (len(tries), len(got)) == (1, 1)


def test_a_target_that_hangs_is_left_after_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(delay=1.5) as (slow, _), receiver() as (whole, got):
        monkeypatch.setenv("NOTIFY_TARGETS", f"{slow} {whole}")
        monkeypatch.setenv("NOTIFY_PATIENCE", "200ms")
        _publish()
        tasks.deliver()
        assert [title for _, title in got] == ["slow"]
    with database.transaction() as db:
        assert outbox.failing(db, formats.KIND, attempts=1) == 1


def test_a_target_that_fails_is_tried_until_it_is_given_up_and_can_be_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTIFY_ATTEMPTS", "4")
    with receiver(503) as (target, tries):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        _publish()
        for attempt in range(1, 6):
            tasks.deliver()
            assert len(tries) == min(attempt, 4)
            if attempt == 3:
                with database.transaction() as db:
                    assert outbox.failing(db, formats.KIND) == 1
            due_now()
    [dead] = sending.dead(10)
    assert (dead.key, dead.problem) == ("alert/1/1.1/operations/target-1", "the target did not take it")
    with receiver() as (target, got):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        sending.replay(dead.id)
        tasks.deliver()
    assert len(got) == 1


def test_a_target_that_took_it_is_not_sent_it_again_when_the_database_was_lost_before_it_was_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiver() as (target, got):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        _publish()
        with monkeypatch.context() as lost:
            lost.setattr(
                sending,
                "_settle",
                lambda *_: (_ for _ in ()).throw(database.DatabaseUnavailable(cause="lost")),
            )
            with pytest.raises(database.DatabaseUnavailable):
                usecases.deliver(5)
        due_now()
        tasks.deliver()
    assert len(got) == 1
    with database.transaction() as db:
        assert (
            outbox.statuses(db, ["alert/1/1.1/operations/target-1"])["alert/1/1.1/operations/target-1"].state
            is State.SENT
        )


def test_what_is_kept_is_read_as_it_was_also_in_the_form_of_version_1() -> None:
    to = Target("contacts", "w-1", "sms")
    one = formats.message(ONE, to)
    assert formats.read(one.key, dict(one.body)) == (replace(ONE, about="w-1"), to)
    assert (one.lane, one.recipient, one.version) == (Lane.URGENT, "contacts/w-1/sms", 1)
    kept = {
        "title": "t",
        "body": "b",
        "severity": "high",
        "recipient": "lead",
        "wedding_id": "",
        "channel": "pager",
    }
    assert formats.read("k", kept) == (Notification("k", "t", "b", "high"), Target("lead", "", "pager"))


def test_what_a_worker_of_the_version_before_writes_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written = (
        "INSERT INTO notifications (key, title, body, severity, who, wedding_id, channel, created_at) "
        "VALUES ('old/operations/target-1', 'old', 'text', 'high', 'operations', '', 'target-1', now()) ON "
        "CONFLICT DO NOTHING"
    )
    with receiver() as (target, got):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        for _ in range(2):
            with database.transaction() as db:
                db.exec_driver_sql(written)
            tasks.deliver()
    assert got == [("old/operations/target-1", "old")]


def test_people_are_told_where_they_are_reached_and_operations_in_the_place_of_who_is_not() -> None:
    with database.transaction() as db:
        lead, contacts = Target("lead", "", "pager"), Target("contacts", "w-1", "sms")
        store.register(db, lead, "log://")
        store.register(db, contacts, "log://")
        assert usecases.targets(db, "lead") == [lead]
        assert usecases.targets(db, "contacts", "w-1") == [contacts]
        assert usecases.targets(db, "contacts", "w-2") == [Target("operations", "", "target-1")]
        assert store.registered(db) == [contacts, lead]


def test_who_has_no_address_any_more_is_sent_nothing_more() -> None:
    with receiver() as (target, got):
        usecases.register(Target("lead", "", "pager"), target)
        _publish("lead")
        assert usecases.unregister(Target("lead", "", "pager"))
        assert not usecases.unregister(Target("lead", "", "pager"))
        tasks.deliver()
    assert got == []


def test_what_is_withdrawn_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as (target, got):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        _publish()
        with database.transaction() as db:
            outbox.withdraw(db, ["alert/1/1.1/operations/target-1"])
        tasks.deliver()
    assert got == []


def test_a_target_that_apprise_does_not_know_is_named_by_its_place_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTIFY_TARGETS", "log:// nonsense://secret")
    with pytest.raises(adapters.TargetsInvalid, match="target 2 is no address") as caught:
        adapters.check_targets()
    assert "secret" not in str(caught.value)
