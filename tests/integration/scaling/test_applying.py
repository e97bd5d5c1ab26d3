"""What was decided is applied by the outbox.

Once at a time, later and later while it fails, and not when it was overtaken.
"""

from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import text

from tests.made import due_now, eventually, scaled
from workers.foundation import clock, database, redis
from workers.outbox import store as outbox
from workers.processes import deliver
from workers.scaling import tasks
from workers.scaling.adapters import actuators
from workers.scaling.adapters.valkey import Valkey
from workers.scaling.rules.decision import State
from workers.scaling.rules.policy import Resource
from workers.scaling.store import actions as store
from workers.weddings.rules.calendar import EVERYWHERE

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture(autouse=True)
def _only_the_cache(monkeypatch: pytest.MonkeyPatch, world: object) -> None:
    monkeypatch.setenv("SCALING_ACTUATORS", "cache_mb=valkey")
    monkeypatch.setenv("SCALING_NEW_REGIONS", "live")


def _cache(to: int, *, expected_previous_id: int = 0) -> int:
    with database.transaction() as db:
        return scaled(
            db,
            region=EVERYWHERE,
            resource=Resource.CACHE_MB,
            before=256,
            to=to,
            expected_previous_id=expected_previous_id,
        )


def _action(id: int) -> store.Action:
    with database.transaction() as db:
        return next(one for one in store.recent(db) if one.id == id)


def _has() -> int:
    return int(redis.cache_server().config_get("maxmemory")["maxmemory"]) // 2**20


def _calls(monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> list[int]:
    """Count what is applied from now on, in their order; with `fails` nothing can be."""
    calls, does = list[int](), Valkey.apply

    def apply(self: Valkey, action: Any, *, dry_run: bool = False) -> str:
        calls.append(action.id)
        if fails:
            raise actuators.ActuatorUnreachable(system="valkey", problem="away")
        return does(self, action, dry_run=dry_run)

    monkeypatch.setattr(Valkey, "apply", apply)
    return calls


def test_an_action_is_applied_once_however_many_runs_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, id = _calls(monkeypatch), _cache(512)
    threads = [Thread(target=tasks.verify) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (calls, _has(), _action(id).state) == ([id], 512, State.CONFIRMED)


def test_what_fails_is_left_alone_for_a_while_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, id = _calls(monkeypatch, fails=True), _cache(512)
    tasks.verify()
    tasks.verify()
    assert len(calls) == 1
    assert "valkey" in str(_action(id).problem)
    due_now()
    tasks.verify()
    assert len(calls) == 2
    with database.transaction() as db:
        assert db.execute(text("SELECT attempts FROM outbox WHERE kind = 'action'")).scalar_one() == 2


def test_what_was_overtaken_before_its_turn_is_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, first = _calls(monkeypatch, fails=True), _cache(512)
    tasks.verify()
    second = _cache(384, expected_previous_id=first)
    calls.clear()
    monkeypatch.undo()
    monkeypatch.setenv("SCALING_ACTUATORS", "cache_mb=valkey")
    monkeypatch.setenv("SCALING_NEW_REGIONS", "live")
    calls = _calls(monkeypatch)
    due_now()
    tasks.verify()
    assert (calls, _has()) == ([second], 384)
    assert (_action(first).state, _action(second).state) == (State.FAILED, State.CONFIRMED)
    with database.transaction() as db:
        assert outbox.waiting(db, "action") == []


def test_drift_is_set_back_once_and_again_when_it_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _cache(512)
    tasks.verify()
    now = clock.now()
    for minutes in (1, 2):
        redis.cache_server().config_set("maxmemory", "300mb")
        at = now + timedelta(minutes=minutes)
        monkeypatch.setattr(clock, "now", lambda at=at: at)
        tasks.reconcile()
        assert _has() == 512


def test_what_somebody_raised_by_hand_is_set_back_and_what_can_not_be_looked_at_is_no_drift(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    id = _cache(512)
    tasks.verify()
    redis.cache_server().config_set("maxmemory", "700mb")
    tasks.reconcile()
    assert (_has(), _action(id).state) == (512, State.CONFIRMED)
    with monkeypatch.context() as away:
        away.setattr(redis, "cache_server", lambda: 1 / 0)
        tasks.reconcile()
    assert _action(id).state is State.CONFIRMED


def test_an_older_action_does_not_end_after_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first, does, second = _cache(512), Valkey.apply, list[int]()

    def slow(self: Valkey, action: Any, *, dry_run: bool = False) -> str:
        if action.id == first and not second:
            second.append(_cache(1024, expected_previous_id=first))
            tasks.verify()
        return does(self, action, dry_run=dry_run)

    monkeypatch.setattr(Valkey, "apply", slow)
    tasks.verify()
    due_now()
    tasks.verify()
    assert (_has(), _action(second[0]).state) == (1024, State.CONFIRMED)


def test_the_process_that_sends_applies_what_is_decided_without_a_job() -> None:
    ended = Event()
    thread = Thread(target=deliver.run, args=(ended,))
    thread.start()
    try:
        _cache(512)
        with database.transaction() as db:
            [action] = store.latest(db).values()
            outbox.write(db, [tasks.applying.message(action)])
        assert eventually(lambda: _has() == 512)
    finally:
        ended.set()
        thread.join(15)
