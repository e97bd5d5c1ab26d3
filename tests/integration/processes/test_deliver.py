"""The process that sends: what is committed leaves at once, each kind by itself, until it is told to end."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.made import NOON, eventually, receiver, wedding
from workers import client
from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Change, Reason, State
from workers.alerts.store import moves
from workers.foundation import database, redis
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.outbox import store as outbox
from workers.processes import deliver
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def running(world: object) -> Iterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=deliver.run, args=(ended,))
    thread.start()
    yield
    ended.set()
    thread.join(15)
    assert not thread.is_alive()


def _publish(key: str) -> None:
    with database.transaction() as db:
        notify.publish(db, Notification(key, key, "text", "high"))


@pytest.mark.usefixtures("running")
def test_notifications_leave_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as (target, got):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        for key in ("a", "b", "c"):
            _publish(key)
        assert eventually(lambda: len(got) == 3)
    assert [title for _, title in got] == ["a", "b", "c"]


@pytest.mark.usefixtures("running")
def test_a_command_that_lost_its_message_is_sent_again_when_it_is_due() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1")], at=NOON)
    client.open_emergency("venue", "w-1", request_key="k")
    redis.registry().delete("emergency")
    with database.transaction() as db:
        db.execute(text("UPDATE outbox SET due_at = now()"))
    assert eventually(lambda: redis.registry().llen("emergency") == 1)


@pytest.mark.usefixtures("running")
def test_a_change_of_an_alert_is_broadcast_once_without_what_is_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiver() as (target, _):
        monkeypatch.setenv("ALERTS_BROADCAST_URL", target.replace("json://", "http://"))
        monkeypatch.setenv("ALERTS_BROADCAST_KEY", "a-key")
        assert eventually(_has_begun)
        breach = Breach(Kind.CACHE, "live", Severity.HIGH, 1, "redis://:hunter2@cache is away")
        with database.transaction() as db:
            opening = Change(None, State.FIRING, Reason.ABOVE_THRESHOLD, breach)
            moves.apply_changes(db, [opening], at=NOON, flapping_within=timedelta(0))
        assert eventually(_broadcasts)
    [body] = _broadcasts()
    [change] = body["changes"]
    assert change.pop("id") > 0
    assert change == {
        "at": NOON.isoformat(),
        "detail": "redis://…@cache is away",
        **{"alert_id": 1, "state": "firing", "severity": "high", "reason": "above_threshold"},
        **{"kind": "cache", "subject": "live", "region": "", "wedding_id": "", "people": 0, "rank": 0.0},
    }


def _has_begun() -> bool:
    with database.transaction() as db:
        return bool(
            db.execute(text("SELECT count(*) FROM journal_cursors WHERE reader = 'alerts.live'")).scalar_one()
        )


def _broadcasts() -> list[dict[str, list[dict[str, object]]]]:
    with database.transaction() as db:
        return list(db.execute(text("SELECT body FROM outbox WHERE kind = 'broadcast'")).scalars())


def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch, running: None) -> None:
    assert running is None
    with receiver() as (target, got):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        with database.transaction() as db:
            kill = (
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            )
            db.execute(text(kill + " AND backend_type = 'client backend' AND datname = current_database()"))
        assert eventually(lambda: _published("late"), within=20)
        assert eventually(lambda: len(got) == 1, within=20)


def _published(key: str) -> bool:
    try:
        _publish(key)
    except database.DatabaseUnavailable:
        return False
    with database.transaction() as db:
        return bool(outbox.statuses(db, [f"{key}/operations/target-1"]))
