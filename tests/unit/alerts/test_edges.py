"""The edges of alerts' rules: whole breaches, first and last moments, ladders out of order, exact ranks."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.made import NOON
from tests.unit.alerts.test_escalation import PAGE, _steps
from tests.unit.alerts.test_muting import _muted, standing
from tests.unit.alerts.test_rules import _alert, _breach
from workers.alerts.rules import findings
from workers.alerts.rules.escalation import DEFAULT, Step, due
from workers.alerts.rules.kinds import Kind, Severity, Tempo
from workers.alerts.rules.lifecycle import Breach, Change, Policy, Reason, State, changes
from workers.alerts.rules.muting import Around, Weekly, rank
from workers.forecasting.rules.calibration import Score
from workers.measurements.rules.samples import Anomaly
from workers.snapshots.rules import Snapshot

POLICY = Policy()
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def test_a_step_without_a_wait_waits_for_nothing() -> None:
    assert Step(recipients=("a",)).wait(Tempo.RUNNING) == timedelta(0)


def test_a_notice_says_all_of_itself_and_repeats_keep_the_first() -> None:
    found = due(replace(PAGE, id=9), DEFAULT.path[0], Tempo.ORDINARY, POLICY, now=NOON + timedelta(hours=9))
    assert [(one.alert_id, one.step, one.recipient) for one in found] == [
        (9, "1.1", "operations"),
        (9, "1.2", "operations-lead"),
        (9, "1.2", "contacts"),
        (9, "1.3", "operations-manager"),
        (9, "1.again-2", "operations-manager"),
    ]
    assert _steps(0, snoozed_until=NOON) == ["1.1 operations"]


def _row(**facts: Any) -> Snapshot:
    return Snapshot(**{"region": "east", "at": NOON, "connections": 10} | facts)


def test_a_breach_says_all_of_itself() -> None:
    [slow, failing] = findings.breaches([_row(p95_ms=2500.0, messages=20, errors=1)], POLICY)
    assert slow == Breach(
        Kind.RESPONSE_TIME,
        "east",
        Severity.MEDIUM,
        2500.0,
        "95 % of round trips in east take up to 2,500 ms",
        "east",
    )
    assert failing == Breach(
        Kind.ERROR_RATE, "east", Severity.MEDIUM, 0.05, "5.0% of 20 messages in east failed", "east"
    )
    assert findings.nodes_out({"n1": "east"}, ["east"]) == [
        Breach(Kind.NODE_OUT, "n1", Severity.HIGH, 1.0, "node n1 of east is silent", "east")
    ]
    text = "1 connection(s) of couple or planner at {} are bad: the worst scores 40 of 100"
    assert findings.quality({"w-1": [40.0], "t": [40.0]}, {"w-1": "east"}) == [
        Breach(Kind.QUALITY, "w-1", Severity.MEDIUM, 40.0, text.format("w-1"), "east", "w-1"),
        Breach(Kind.QUALITY, "t", Severity.MEDIUM, 40.0, text.format("t"), "", ""),
    ]
    assert findings.actions_failed({"east/cache_mb": "away"}) == [
        Breach(Kind.ACTION_FAILED, "east/cache_mb", Severity.HIGH, 1.0, "east/cache_mb: away", "east")
    ]
    assert findings.capacity_ahead(
        {"east/instances": date(2026, 1, 16)}, {"east/instances": "12"}, today=date(2026, 1, 1)
    ) == [Breach(Kind.CAPACITY_AHEAD, "east/instances", Severity.MEDIUM, 15.0, "12", "east")]
    [unfit] = findings.forecasts_unfit({"east": Score(99, {}, {"p90": 0.4}, -0.8, 7.0)})
    assert (unfit.kind, unfit.subject, unfit.severity, unfit.value, unfit.region) == (
        Kind.FORECAST_UNFIT,
        "east",
        Severity.MEDIUM,
        0.4,
        "east",
    )


def test_busy_processors_and_odd_series_are_breaches() -> None:
    assert findings.busy({"n1": (0.9, "east"), "n2": (0.5, "east"), "n3": (0.98, "west")}, POLICY) == [
        Breach(Kind.CPU, "n1", Severity.HIGH, 0.9, "the processors of node n1 are 90% busy", "east"),
        Breach(Kind.CPU, "n3", Severity.CRITICAL, 0.98, "the processors of node n3 are 98% busy", "west"),
    ]
    series = 'load{region="east"}'
    found = findings.anomalies(
        [Anomaly(series, "step", 12345.0, 9.0, 0.0, 0.0), Anomaly("x", "surprise", 2.0, 9.0, 0.0, 0.0)]
    )
    assert found == [
        Breach(Kind.ANOMALY, series, Severity.MEDIUM, 12345.0, f"{series} stepped to 1.234e+04", "east"),
        Breach(Kind.ANOMALY, "x", Severity.MEDIUM, 2.0, "x has never behaved so before: it is 2", ""),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (_row(), set()),
        (_row(connections=0), {"response_time/east", "error_rate/east"}),
        (_row(p95_ms=1.0), {"response_time/east"}),
        (_row(messages=20), {"error_rate/east"}),
        (_row(messages=19), set()),
    ],
)
def test_silence_is_not_health(row: Any, said: Any) -> None:
    assert findings.evaluated([row], POLICY) == said


@pytest.mark.parametrize(
    "fine",
    [
        {"repeat_after": timedelta(minutes=1)},
        {"repeat_after": 7 * DAY},
        {"pending_for": DAY},
        {"high_cpu": 0.97},
    ],
)
def test_the_ends_are_allowed(fine: Any) -> None:
    Policy(**fine)


@pytest.mark.parametrize(
    "wrong",
    [
        {"repeat_after": 59 * SECOND},
        {"repeat_after": 7 * DAY + SECOND},
        *(
            {name: DAY + SECOND}
            for name in ("flapping_within", "group_interval", "pending_for", "resolve_after")
        ),
        *({f"high_{ladder}": 9e9} for ladder in ("ms", "errors", "outage", "memory", "cpu", "storage")),
        {"critical_ms": float("inf")},
        {"critical_ms": float("nan")},
    ],
)
def test_beyond_is_not(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        Policy(**wrong)


@pytest.mark.parametrize(("flaps", "seconds"), [(0, 30), (1, 60), (5, 960), (6, 960)])
def test_what_flaps_must_be_quiet_for_longer(flaps: Any, seconds: Any) -> None:
    assert POLICY.calm_for(flaps) == seconds * SECOND
    alert = replace(_alert(State.FIRING, seen=seconds - 1), flaps=flaps)
    assert changes([], [alert], POLICY, now=NOON) == []


def test_what_is_seen_again_after_long_is_not_over_too() -> None:
    alert = _alert(State.FIRING, since=999, seen=999)
    assert changes([_breach()], [alert], POLICY, now=NOON) == [
        Change(1, State.FIRING, Reason.STILL_ABOVE, _breach())
    ]


def test_what_a_clock_noted_that_ran_ahead_is_over_as_any_other() -> None:
    assert changes([], [_alert(State.FIRING, seen=-61)], POLICY, now=NOON)[0].state is State.RESOLVED
    assert changes([], [_alert(State.FIRING, seen=-60)], POLICY, now=NOON) == []


@pytest.mark.parametrize(
    ("state", "severity", "worst", "change"),
    [
        (State.ACKNOWLEDGED, Severity.MEDIUM, Severity.MEDIUM, (State.FIRING, Reason.WORSE)),
        (State.PENDING, Severity.MEDIUM, Severity.MEDIUM, (State.PENDING, Reason.WORSE)),
        (State.ACKNOWLEDGED, Severity.MEDIUM, Severity.HIGH, (State.ACKNOWLEDGED, Reason.STILL_ABOVE)),
        (State.ACKNOWLEDGED, Severity.HIGH, Severity.MEDIUM, (State.ACKNOWLEDGED, Reason.STILL_ABOVE)),
    ],
)
def test_what_gets_worse_fires_again_but_not_what_swings(
    state: Any, severity: Any, worst: Any, change: Any
) -> None:
    alert = replace(_alert(state, severity=severity), worst=worst)
    [found] = changes([_breach(Severity.HIGH)], [alert], POLICY, now=NOON)
    assert (found.state, found.reason) == change


@pytest.mark.parametrize(
    ("window", "inside"),
    [
        ("sat,sun 08:00-09:00 America/New_York", True),  # NOON is Saturday, 08:00 there
        ("sat 07:00-08:00 America/New_York", False),
        ("sun,mon 07:00-09:00 America/New_York", False),
        ("sat 08:00-02:00 America/New_York", True),
        ("sat 09:00-02:00 America/New_York", False),
        ("sun 07:00-02:00 America/New_York", False),
        ("fri 22:00-09:00 America/New_York", True),
        ("fri 22:00-08:00 America/New_York", False),
        ("sat 08:00-08:00 America/New_York", True),
        ("fri 08:00-08:00 America/New_York", False),
    ],
)
def test_a_window_holds_from_its_beginning_until_before_its_end(window: Any, inside: Any) -> None:
    assert Weekly.read(window).covers(datetime(2026, 10, 10, 12, tzinfo=UTC)) is inside


@pytest.mark.parametrize(
    ("kind", "subject", "target", "muted"),
    [
        (Kind.BROKER, "broker", Kind.JOB_STOPPED, True),
        (Kind.BROKER, "broker settings", Kind.JOB_STOPPED, False),
        (Kind.BROKER, "broker", Kind.MEMORY, True),
        (Kind.DATABASE, "database", Kind.NOTIFICATION, True),
        (Kind.DATABASE, "connections", Kind.NOTIFICATION, False),
        (Kind.WORKER_FROZEN, "w@h", Kind.QUEUE_AGE, True),
        (Kind.ERROR_BUDGET, "x", Kind.ANOMALY, True),
    ],
)
def test_only_what_is_away_altogether_explains(kind: Any, subject: Any, target: Any, muted: Any) -> None:
    found = _muted([standing(1, kind, subject=subject), standing(2, target)])
    assert found == ({2: Reason.INHIBITED} if muted else {})


@pytest.mark.parametrize(
    ("around", "severity", "figure"),
    [
        ((), Severity.MEDIUM, 1.0),
        (("planning",), Severity.MEDIUM, 1.0),
        (("over", "setup"), Severity.MEDIUM, 2.0),
        (("wind_down",), Severity.HIGH, 6.0),
        (("reception",), Severity.HIGH, 12.0),
        (("ceremony", "setup"), Severity.CRITICAL, 72.0),
    ],
)
def test_a_rank_is_people_by_phase_by_severity(around: Any, severity: Any, figure: Any) -> None:
    assert (
        rank(severity, Around(0, frozenset(around))) == rank(severity, Around(1, frozenset(around))) == figure
    )
    assert rank(severity, Around(10, frozenset(around))) == 10 * figure
