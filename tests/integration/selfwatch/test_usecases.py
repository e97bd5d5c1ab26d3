"""The watch over ourselves, with a broker, a cache and a database that are really away."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.made import receiver
from workers.alerts.rules.kinds import Kind
from workers.alerts.rules.lifecycle import State
from workers.alerts.store import alerts as store
from workers.foundation import clock, database, jobs, keys, redis
from workers.notify import adapters
from workers.processes.servers import Server
from workers.selfwatch.usecases import observing, watching

pytestmark = [pytest.mark.usefixtures("world"), pytest.mark.xdist_group("stopped servers")]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PENDING_FOR", "RESOLVE_AFTER", "GROUP_WAIT"):
        monkeypatch.setenv(f"ALERTS_{name}", "0s")


@contextmanager
def _stopped(server: Server) -> Iterator[None]:
    """Have a server stand still for the length of the block: it takes connections and answers nothing."""
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def _standing() -> dict[str, State]:
    with database.transaction() as db:
        return {alert.kind: alert.state for alert in store.listed(db)}


def test_a_broker_that_hangs_is_told_without_it_and_over_when_it_answers(
    world: list[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as (target, got):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        with _stopped(world[0]):
            watching.Watch().look()
        assert _standing()["broker"] is State.FIRING
        assert [title.partition(" and")[0] for _, title in got] == ["critical firing: broker broker"]
        watching.Watch().look()
    assert _standing()["broker"] is State.RESOLVED


def test_a_broker_that_answers_with_an_error_is_not_said_to_be_silent(world: list[Server]) -> None:
    redis.registry().config_set("maxmemory", "1")
    try:
        away = observing.observe().unavailable
    finally:
        redis.registry().config_set("maxmemory", "1gb")
    assert away[Kind.BROKER].startswith("the broker answers with an error (")


def test_a_cache_that_hangs_is_found(world: list[Server]) -> None:
    with _stopped(world[1]):
        assert set(observing.observe().unavailable) == {Kind.CACHE}


def test_a_database_that_is_away_is_told_once_without_it(
    world: list[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    def _unavailable(*_arguments: object) -> None:
        raise database.DatabaseUnavailable(cause="connection refused")

    with receiver() as (target, got):
        monkeypatch.setenv("NOTIFY_TARGETS", target)
        watch = watching.Watch()
        with monkeypatch.context() as away:
            away.setattr(database, "transaction", _unavailable)
            for _ in range(4):
                watch.look()
        assert [title for _, title in got if "database" in title] == ["critical firing: database"]
        watch.look()
    assert not watch.published


def test_a_worker_that_answered_once_and_does_not_now_is_found(world: list[Server]) -> None:
    redis.registry().hset(keys.WORKERS, "steady@gone", clock.epoch() - 60)
    silent = observing.observe().silent
    assert silent
    assert silent["steady@gone"] == pytest.approx(60, abs=5)


def test_a_job_that_never_ran_is_overdue(world: list[Server]) -> None:
    jobs.expect({"alerts.check": 10.0})
    redis.registry().hset(keys.job("alerts.check"), "expected", int((clock.epoch() - 50) * 1000))
    overdue = observing.observe().overdue
    assert overdue
    assert overdue["alerts.check"] == pytest.approx(40, abs=5)


def test_a_broker_that_may_evict_is_found(world: list[Server]) -> None:
    redis.registry().config_set("maxmemory-policy", "allkeys-lru")
    try:
        settings = observing.observe().settings
    finally:
        redis.registry().config_set("maxmemory-policy", "noeviction")
    assert settings
    assert "may evict" in settings["broker"]


def test_what_postgres_says_of_itself_is_read(world: list[Server]) -> None:
    found = observing.observe().postgres
    assert found
    assert 0 < found.connections < 1
    assert abs(found.skew) < 2
    assert adapters.targets() == {"target-1": "log://"}
