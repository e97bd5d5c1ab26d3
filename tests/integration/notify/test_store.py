"""Notifications: sent once a key, tried again when a target fails."""

from datetime import timedelta

import pytest

from tests.made import NOON
from workers.foundation import clock, database
from workers.notify import client, store, tasks

pytestmark = pytest.mark.usefixtures("world")

ONE = store.Notification("alert/1/firing/high", "slow", "see the runbook", "high")


def _write() -> bool:
    with database.transaction() as db:
        return store.write(db, ONE, at=NOON)


def test_a_key_is_written_and_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(client, "send", lambda title, _body, _severity: bool(sent.append(title)) or True)
    assert [_write(), _write()] == [True, False]
    tasks.deliver()
    tasks.deliver()
    assert sent == ["slow"]


def test_a_target_that_fails_is_tried_again_at_the_next_run_and_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []
    monkeypatch.setattr(client, "send", lambda title, _body, _severity: bool(tries.append(title)))
    _write()
    start, tried_at = clock.machine_now(), []
    for seconds in range(0, 60, 4):
        monkeypatch.setattr(tasks.clock, "machine_now", lambda now=start + timedelta(seconds=seconds): now)
        tasks.deliver()
        tried_at += [seconds] * (len(tries) - len(tried_at))
    assert tried_at == [0, 8, 24, 56]
    with database.transaction() as db:
        assert store.overdue(db) == 1
        db.execute(store.notifications.update().values(attempts=store.ATTEMPTS))
        assert store.claim(db, at=start + timedelta(days=9)) is None


def test_two_who_send_at_once_do_not_take_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    _write()
    at = clock.machine_now()
    with database.engine().begin() as one, database.engine().begin() as other:
        assert store.claim(one, at=at) == ONE
        assert store.claim(other, at=at) is None


def test_a_target_that_apprise_does_not_know_is_named_by_its_place_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_TARGETS", "log:// nonsense://secret")
    client._apprise.cache_clear()
    try:
        with pytest.raises(client.TargetsInvalid, match="target 2 is no address") as caught:
            client.send("a", "b", "high")
    finally:
        client._apprise.cache_clear()
    assert "secret" not in str(caught.value)
