"""Alerts: one a fingerprint, told once, resolved when it ends."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from tests.made import NOON, connection, scaled
from workers.alerts import tasks
from workers.alerts.rules import lifecycle as rules
from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import State
from workers.alerts.store import alerts as store
from workers.alerts.store import moves
from workers.balancing import store as balancing
from workers.balancing.store import Report
from workers.connections.store import registry
from workers.connections.store.registry import Measurement
from workers.forecasting.rules.calibration import Score
from workers.forecasting.store import forecasts as forecasting
from workers.foundation import clock, database, jobs, redis
from workers.scaling.rules.capacity import FullDay, Limit
from workers.scaling.rules.decision import State as ActionState
from workers.scaling.rules.policy import Resource
from workers.scaling.store import actions as scaling
from workers.scaling.store import capacity as full_days
from workers.selfwatch.usecases import watching
from workers.snapshots import store as snapshots
from workers.snapshots.rules import Snapshot

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_GROUP_WAIT", "0s")


def _measure(p95_ms: float) -> None:
    with database.transaction() as db:
        snapshots.append(db, [Snapshot("east", clock.now(), 10, p95_ms=p95_ms)])


def _keys() -> list[str]:
    tasks.escalate()
    with database.transaction() as db:
        return list(db.execute(text("SELECT key FROM outbox ORDER BY created_at, key")).scalars())


def test_latency_above_its_threshold_is_one_alert_once_and_resolved_when_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    for _ in range(3):
        _measure(2500)
        tasks.check()
    with database.transaction() as db:
        [alert] = store.listed(db)
    assert (alert.kind, alert.subject, alert.severity, alert.state) == (
        "response_time",
        "east",
        Severity.MEDIUM,
        State.FIRING,
    )
    assert _keys() == ["alert/1/1.1/operations/target-1"]
    _measure(40)
    tasks.check()
    tasks.check()
    with database.transaction() as db:
        assert store.listed(db)[0].state is State.RESOLVED
        reasons = [row.reason for row in db.execute(store.events.select().order_by(store.events.c.id))]
    assert reasons == ["above_threshold", "back_to_normal"]
    assert _keys() == ["alert/1/1.1/operations/target-1", "alert/1/end/operations/target-1"]


def test_one_that_gets_worse_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    for value in (2500, 6000, 6000, 2500):
        _measure(value)
        tasks.check()
        tasks.escalate()
    assert _keys() == ["alert/1/1.1/operations/target-1", "alert/1/2.1/operations/target-1"]


def test_an_alert_is_not_resolved_by_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    _measure(6000)
    tasks.check()
    with database.transaction() as db:
        snapshots.append(db, [Snapshot("east", clock.now(), 10, p95_ms=None)])
    tasks.check()
    with database.transaction() as db:
        db.execute(snapshots.snapshots.delete())
    tasks.check()
    with database.transaction() as db:
        assert store.listed(db)[0].state is State.FIRING


def test_a_short_swing_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    _measure(2500)
    tasks.check()
    _measure(40)
    tasks.check()
    assert _keys() == []


def test_two_checks_at_once_open_one_alert() -> None:
    breach = rules.Breach(Kind.RESPONSE_TIME, "east", Severity.MEDIUM, 2500, "slow")
    opening = rules.Change(None, State.PENDING, rules.Reason.ABOVE_THRESHOLD, breach)
    with database.transaction() as db:
        moves.apply_changes(db, [opening, opening], at=NOON, flapping_within=timedelta(hours=1))
        assert len(store.unresolved(db)) == 1


def _job(db: Connection) -> rules.AlertView:
    return next(one for one in store.listed(db) if one.kind == "job_stopped")


def _watch() -> None:
    watching.Watch().look()


def test_a_job_that_fires_and_never_finishes_is_an_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    for due in (10, 20, 30):
        jobs.claim("connections.sweep", due=due, pace=10, beat="b")
    _watch()
    with database.transaction() as db:
        [alert] = [one for one in store.listed(db) if one.kind == "job_stopped"]
    assert (alert.kind, alert.subject, alert.severity) == (
        "job_stopped",
        "connections.sweep",
        Severity.CRITICAL,
    )
    jobs.finish("connections.sweep", "failed")
    _watch()
    with database.transaction() as db:
        assert _job(db).state is State.FIRING
    jobs.finish("connections.sweep", "ok")
    _watch()
    with database.transaction() as db:
        assert _job(db).state is State.RESOLVED


def test_checking_latency_does_not_resolve_what_the_watch_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    for due in (10, 20, 30):
        jobs.claim("connections.sweep", due=due, pace=10, beat="b")
    _watch()
    tasks.check()
    with database.transaction() as db:
        assert _job(db).state is State.PENDING


def test_a_broker_that_is_nearly_full_is_an_alert() -> None:
    client = redis.registry()
    limit = client.config_get("maxmemory")["maxmemory"]
    # Enough that what the watch itself writes still fits.
    client.setrange("ballast", 30_000_000, "x")
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.1))
    try:
        _watch()
    finally:
        client.config_set("maxmemory", limit)
    with database.transaction() as db:
        assert "memory" in [alert.kind for alert in store.listed(db)]


def test_a_silent_node_and_a_badly_connected_couple_are_alerts() -> None:
    balancing.report(Report("n1", "east", "ws://n1", 10, 0))
    balancing.mark(gone=["n1"])
    couple = connection(user_type="couple")
    registry.open(couple)
    registry.measure([Measurement(couple.ref, 1_500.0, 9)])
    tasks.watch()
    with database.transaction() as db:
        found = {(alert.kind, alert.subject, alert.severity) for alert in store.listed(db)}
    assert found == {("node_out", "n1", Severity.CRITICAL), ("quality", "w-1", Severity.HIGH)}


def test_what_capacity_lacks_is_an_alert_until_it_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    today = clock.now().date()
    ahead = [
        FullDay(
            "us-west",
            today + timedelta(days=days),
            clock.now() + timedelta(days=days),
            Limit.INSTANCES,
            needed,
            10,
        )
        for days, needed in ((-1, 30), (20, 11), (40, 18))
    ]
    with database.transaction() as db:
        full_days.replace(db, ahead)
        scaled(db, region="us-west")
        scaling.move(
            db,
            scaling.latest(db)["us-west", Resource.INSTANCES],
            ActionState.FAILED,
            at=NOON,
            problem="403 Forbidden",
        )
        evaluated = Score(99, {}, {"p90": 0.2}, -0.8, 7.0)
        forecasting.evaluate(db, [("us-west", 60, evaluated)], at=clock.now())
    tasks.watch()
    with database.transaction() as db:
        found = {alert.kind: alert for alert in store.listed(db)}
    assert found["action_failed"].detail == "us-west/instances: 403 Forbidden"
    first, worst = today + timedelta(days=20), today + timedelta(days=40)
    assert found["capacity_ahead"].detail.startswith(f"from {first} on, most on {worst}: 18 instances")
    assert found["capacity_ahead"].severity is Severity.MEDIUM
    assert "20% of what was seen" in found["forecast_unfit"].detail
    with database.transaction() as db:
        full_days.replace(db, [])
        scaling.move(db, scaling.latest(db)["us-west", Resource.INSTANCES], ActionState.CONFIRMED, at=NOON)
    tasks.watch()
    with database.transaction() as db:
        states = {alert.kind: alert.state for alert in store.listed(db)}
    assert (states["action_failed"], states["capacity_ahead"]) == (State.RESOLVED, State.RESOLVED)
    assert states["forecast_unfit"] is State.FIRING
