"""Alerts: one a fingerprint, told once, resolved when it ends."""

import pytest

from tests.made import NOON, connection
from workers.alerts import rules, store, tasks
from workers.alerts.rules import Severity, State
from workers.balancing import store as balancing
from workers.balancing.store import Report
from workers.connections import store as registry
from workers.connections.store import Measurement
from workers.foundation import clock, database, jobs, redis
from workers.metrics import store as metrics
from workers.metrics.rules import Snapshot
from workers.notify import store as notify

pytestmark = pytest.mark.usefixtures("world")


def _measure(p95_ms: float) -> None:
    with database.transaction() as db:
        metrics.append(db, [Snapshot("east", clock.now(), 10, p95_ms=p95_ms)])


def _keys() -> list[str]:
    with database.transaction() as db:
        return list(db.execute(notify.notifications.select().order_by(notify.notifications.c.created_at)).scalars())


def test_latency_above_its_threshold_is_one_alert_once_and_resolved_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    for _ in range(3):
        _measure(2500)
        tasks.check()
    with database.transaction() as db:
        [alert] = store.standing(db)
    assert (alert.kind, alert.subject, alert.severity, alert.state) == ("response_time", "east", Severity.MEDIUM, State.FIRING)
    assert _keys() == ["alert/1/firing/medium"]
    _measure(40)
    tasks.check()
    tasks.check()
    with database.transaction() as db:
        assert store.standing(db)[0].state is State.RESOLVED
        reasons = [row.reason for row in db.execute(store.events.select().order_by(store.events.c.id))]
    assert reasons == ["above_threshold", "back_to_normal"]
    assert _keys() == ["alert/1/firing/medium", "alert/1/resolved/medium"]


def test_one_that_gets_worse_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    for value in (2500, 6000, 6000, 2500):
        _measure(value)
        tasks.check()
    assert _keys() == ["alert/1/firing/medium", "alert/1/firing/critical"]


def test_an_alert_is_not_resolved_by_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    _measure(6000)
    tasks.check()
    with database.transaction() as db:
        metrics.append(db, [Snapshot("east", clock.now(), 10, p95_ms=None)])
    tasks.check()
    with database.transaction() as db:
        db.execute(metrics.snapshots.delete())
    tasks.check()
    with database.transaction() as db:
        assert store.standing(db)[0].state is State.FIRING


def test_a_short_swing_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    _measure(2500)
    tasks.check()
    _measure(40)
    tasks.check()
    assert _keys() == []


def test_two_checks_at_once_open_one_alert() -> None:
    breach = rules.Breach(rules.Kind.RESPONSE_TIME, "east", Severity.MEDIUM, 2500, "slow")
    opening = rules.Change(None, State.PENDING, rules.Reason.ABOVE_THRESHOLD, breach)
    with database.transaction() as db:
        store.carry_out(db, [opening, opening], at=NOON)
        assert len(store.unresolved(db)) == 1


def test_a_job_that_fires_and_never_finishes_is_an_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    for due in (10, 20, 30):
        jobs.claim("connections.sweep", due=due, pace=10, beat="b")
    tasks.watch()
    with database.transaction() as db:
        [alert] = store.standing(db)
    assert (alert.kind, alert.subject, alert.severity) == ("job_stopped", "connections.sweep", Severity.CRITICAL)
    jobs.finish("connections.sweep", "failed")
    tasks.watch()
    with database.transaction() as db:
        assert store.standing(db)[0].state is State.FIRING
    jobs.finish("connections.sweep", "ok")
    tasks.watch()
    with database.transaction() as db:
        assert store.standing(db)[0].state is State.RESOLVED


def test_checking_latency_does_not_resolve_what_the_watch_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    for due in (10, 20, 30):
        jobs.claim("connections.sweep", due=due, pace=10, beat="b")
    tasks.watch()
    tasks.check()
    with database.transaction() as db:
        assert store.standing(db)[0].state is State.PENDING


def test_a_broker_that_is_nearly_full_is_an_alert() -> None:
    client = redis.registry()
    limit = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.1))
    try:
        tasks.watch()
    finally:
        client.config_set("maxmemory", limit)
    with database.transaction() as db:
        assert [alert.kind for alert in store.standing(db)] == ["memory"]


def test_a_silent_node_and_a_badly_connected_couple_are_alerts() -> None:
    balancing.report(Report("n1", "east", "ws://n1", 10, 0))
    balancing.mark(gone=["n1"])
    couple = connection(user_type="couple")
    registry.open(couple)
    registry.measure([Measurement(couple.ref, 1_500.0, 9)])
    tasks.watch()
    with database.transaction() as db:
        found = {(alert.kind, alert.subject, alert.severity) for alert in store.standing(db)}
    assert found == {("node_out", "n1", Severity.CRITICAL), ("quality", "w-1", Severity.HIGH)}
