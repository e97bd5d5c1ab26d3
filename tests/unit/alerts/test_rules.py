"""When an alert fires, changes and resolves."""

from datetime import timedelta
from typing import Any

import pytest

from tests.made import NOON
from workers.alerts.rules import findings
from workers.alerts.rules import lifecycle as rules
from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import Alert, Breach, Change, Reason, State
from workers.caching.rules.structure import Compared, Condition, Structure
from workers.forecasting.rules.calibration import Score
from workers.snapshots.rules import Snapshot

POLICY = rules.Policy()


def _snapshot(**facts: Any) -> Snapshot:
    return Snapshot(region="east", at=NOON, connections=10, **facts)


@pytest.mark.parametrize(
    ("facts", "severity"),
    [
        ({"p95_ms": 2000.0}, None),
        ({"p95_ms": 2000.1}, Severity.MEDIUM),
        ({"p95_ms": 3500.0}, Severity.HIGH),
        ({"p95_ms": 5001.0}, Severity.CRITICAL),
        ({"messages": 100, "errors": 2}, None),
        ({"messages": 100, "errors": 3}, Severity.MEDIUM),
        ({"messages": 100, "errors": 6}, Severity.HIGH),
        ({"messages": 100, "errors": 11}, Severity.CRITICAL),
        ({"messages": 3, "errors": 3}, None),
        ({}, None),
    ],
)
def test_what_exceeds_a_threshold_is_a_breach(facts: dict[str, Any], severity: Severity | None) -> None:
    assert [breach.severity for breach in findings.breaches([_snapshot(**facts)], POLICY)] == (
        [severity] if severity else []
    )


def _breach(severity: Severity = Severity.MEDIUM) -> Breach:
    return Breach(Kind.RESPONSE_TIME, "east", severity, 2500.0, "slow")


def _alert(state: State, *, since: float = 0, seen: float = 0, severity: Severity = Severity.MEDIUM) -> Alert:
    ago = NOON - timedelta(seconds=since), NOON - timedelta(seconds=seen)
    return Alert(1, "response_time/east", severity, state, *ago)


@pytest.mark.parametrize(
    ("breach", "alert", "change"),
    [
        (_breach(), None, Change(None, State.PENDING, Reason.ABOVE_THRESHOLD, _breach())),
        (_breach(), _alert(State.PENDING, since=9), Change(1, State.PENDING, Reason.STILL_ABOVE, _breach())),
        (_breach(), _alert(State.PENDING, since=10), Change(1, State.FIRING, Reason.STILL_ABOVE, _breach())),
        (_breach(), _alert(State.FIRING), Change(1, State.FIRING, Reason.STILL_ABOVE, _breach())),
        (
            _breach(Severity.CRITICAL),
            _alert(State.FIRING),
            Change(1, State.FIRING, Reason.WORSE, _breach(Severity.CRITICAL)),
        ),
        (
            _breach(),
            _alert(State.FIRING, severity=Severity.HIGH),
            Change(1, State.FIRING, Reason.BETTER, _breach()),
        ),
        (None, _alert(State.FIRING, seen=29), None),
        (None, _alert(State.FIRING, seen=30), Change(1, State.RESOLVED, Reason.BACK_TO_NORMAL)),
        (None, _alert(State.PENDING, seen=30), Change(1, State.RESOLVED, Reason.BACK_TO_NORMAL)),
    ],
)
def test_an_alert_moves_through_its_life(
    breach: Breach | None, alert: Alert | None, change: Change | None
) -> None:
    found = rules.changes([breach] if breach else [], [alert] if alert else [], POLICY, now=NOON)
    assert found == ([change] if change else [])


def test_without_patience_it_fires_at_once() -> None:
    [change] = rules.changes([_breach()], [], rules.Policy(pending_for=timedelta(0)), now=NOON)
    assert change.state is State.FIRING


def test_thresholds_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="medium_ms ≤ high_ms ≤ critical_ms"):
        rules.Policy(medium_ms=9000)


def test_a_region_without_a_node_is_critical() -> None:
    found = findings.nodes_out({"n1": "east", "n2": "west"}, ["east"])
    assert [(breach.subject, breach.severity) for breach in found] == [
        ("n1", Severity.HIGH),
        ("n2", Severity.CRITICAL),
    ]
    assert found[1].detail == "node n2 of west is silent, and no node of its region is left"


def test_a_badly_connected_couple_is_an_alert_of_its_wedding() -> None:
    found = findings.quality({"w-1": [55.0, 35.0], "w-2": [58.0]}, {"w-1": "east"})
    assert [(breach.fingerprint, breach.severity) for breach in found] == [
        ("quality/w-1", Severity.HIGH),
        ("quality/w-2", Severity.MEDIUM),
    ]


def test_what_capacity_lacks_is_medium_weeks_ahead_and_high_when_it_is_near() -> None:
    days = {
        "us-west/instances": NOON.date() + timedelta(days=40),
        "everywhere/connections": NOON.date() + timedelta(days=14),
    }
    worst = {"us-west/instances": "12 of 10", "everywhere/connections": "9,000 of 8,000"}
    found = findings.capacity_ahead(days, worst, today=NOON.date())
    assert [(one.subject, one.severity, one.detail) for one in found] == [
        ("us-west/instances", Severity.MEDIUM, "12 of 10"),
        ("everywhere/connections", Severity.HIGH, "9,000 of 8,000"),
    ]
    [failed] = findings.actions_failed({"us-west/instances": "it is away"})
    assert (failed.kind, failed.severity, failed.detail) == (
        Kind.ACTION_FAILED,
        Severity.HIGH,
        "us-west/instances: it is away",
    )
    scores = {
        "us-west": Score(99, {}, {"p90": 0.4}, -0.8, 7.0),
        "us-east": Score(99, {}, {"p90": 0.4}, -0.1, 1.4),
        "us-south": Score(99, {"p50": 40.0}, {"p90": 1.0}, 1.2, 0.4),
    }
    unfit, excessive = findings.forecasts_unfit(scores)
    assert "us-west is not believed: 40% of what was seen" in unfit.detail
    assert "us-south says more than twice what comes: 100%" in excessive.detail


def test_what_maintenance_of_the_cache_finds_is_alerts() -> None:
    full = Structure(95, 100, 0, 0, evictions_per_s=40.0)
    found = findings.cache(Condition(full, Compared(100, 3, 12.0), 7, ("w-1", "w-2")))
    assert [one.kind for one in found] == [
        Kind.CACHE_STALE,
        Kind.CACHE_POISONED,
        Kind.WARM_UP_UNREAD,
        Kind.CACHE_PRESSURE,
    ]
    assert "3 of 100" in found[0].detail
    assert "by 12 s" in found[0].detail
    assert "w-1, w-2" in found[2].detail
    assert findings.cache(Condition()) == []
    assert findings.cache(Condition(Structure(95, 100, 0, 0), Compared(100, 0))) == []
