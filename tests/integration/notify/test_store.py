"""Notifications: sent once a key and channel, tried again when a target fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep

import orjson
import pytest

from tests.made import NOON
from workers.foundation import clock, database
from workers.notify import actions, client, store, tasks
from workers.notify.rules import Notification, Policy

pytestmark = pytest.mark.usefixtures("world")

ONE = Notification("alert/1/1.1", "slow", "see the runbook", "high")


@contextmanager
def _receiver(answer: int = 200, delay: float = 0.0) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A real target: yield its address for apprise, and the (key, title) it was sent."""
    got: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.headers["Idempotency-Key"], body["title"]))
            sleep(delay)
            self.send_response(answer)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"json://127.0.0.1:{server.server_port}/", got
    finally:
        server.shutdown()
        server.server_close()


def _tell(who: str = "operations", wedding_id: str = "") -> int:
    with database.transaction() as db:
        return actions.tell(db, ONE, at=NOON, who=who, wedding_id=wedding_id)


def test_a_key_is_written_and_sent_once_to_each_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    with _receiver() as (first, got), _receiver() as (second, also):
        monkeypatch.setenv("NOTIFY_TARGETS", f"{first} {second}")
        assert [_tell(), _tell()] == [2, 0]
        tasks.deliver()
        tasks.deliver()
    assert got == [("alert/1/1.1/operations/target-1", "slow")]
    assert also == [("alert/1/1.1/operations/target-2", "slow")]


def test_a_channel_that_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with _receiver(500) as (broken, tries), _receiver() as (whole, got):
        monkeypatch.setenv("NOTIFY_TARGETS", f"{broken} {whole}")
        _tell()
        tasks.deliver()
    assert (len(tries), len(got)) == (1, 1)


def test_a_target_that_hangs_is_left_after_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    with _receiver(delay=1.5) as (slow, _), _receiver() as (whole, got):
        monkeypatch.setenv("NOTIFY_TARGETS", f"{slow} {whole}")
        monkeypatch.setenv("NOTIFY_PATIENCE", "200ms")
        _tell()
        tasks.deliver()
        assert [title for _, title in got] == ["slow"]
    with database.transaction() as db:
        assert store.overdue(db, attempts=1) == 1


def test_a_target_that_fails_is_tried_again_later_and_later_and_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tried_at: list[int] = []
    with _receiver(503) as (target, tries):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        _tell()
        start = clock.machine_now()
        for seconds in range(0, 60, 4):
            monkeypatch.setattr(tasks.clock, "machine_now", lambda now=start + timedelta(seconds=seconds): now)
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
        assert actions.reached(db, "lead") == [("lead", "", "pager")]
        assert actions.reached(db, "contacts", "w-1") == [("contacts", "w-1", "sms")]
        assert actions.reached(db, "contacts", "w-2") == [("operations", "", "target-1")]
        assert store.registered(db) == [("contacts", "w-1", "sms"), ("lead", "", "pager")]


def test_what_is_withdrawn_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with _receiver() as (target, got):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        _tell()
        with database.transaction() as db:
            store.withdraw(db, ["alert/1/1.1/operations/target-1"], at=NOON)
        tasks.deliver()
    assert got == []


def test_a_target_that_apprise_does_not_know_is_named_by_its_place_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_TARGETS", "log:// nonsense://secret")
    with pytest.raises(client.TargetsInvalid, match="target 2 is no address") as caught:
        client.check_targets()
    assert "secret" not in str(caught.value)
