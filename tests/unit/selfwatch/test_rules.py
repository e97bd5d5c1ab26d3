"""What is wrong with the task system itself."""

from dataclasses import replace
from typing import Any

import pytest

from workers.alerts.rules.kinds import Evaluator, Kind, Severity
from workers.alerts.rules.lifecycle import Policy
from workers.foundation import queues
from workers.selfwatch.rules import LATENCY_OBJECTIVES, NEEDS, Postgres, Seen, evaluate, starting

FINE = Seen(
    stopped=(), overdue={}, beats=1, queues=dict.fromkeys(LATENCY_OBJECTIVES, 0.0), backlog=0.0,
    silent={},
    memory={"broker": 0.1}, settings={}, redis_skew=0.0, postgres=Postgres(), undelivered=0, disks={"/": 0.1},
)  # fmt: skip


def _found(**facts: Any) -> list[tuple[Kind, str, Severity]]:
    return [(one.kind, one.subject, one.severity) for one in evaluate(replace(FINE, **facts), Policy())[0]]


def test_nothing_is_wrong_when_all_is_well_and_that_is_known() -> None:
    found, known = evaluate(FINE, Policy())
    assert found == []
    assert {Kind.BROKER, Kind.DATABASE, Kind.JOB_STOPPED, Kind.CLOCK_SKEW, Kind.QUEUE_AGE} <= known


@pytest.mark.parametrize(
    ("facts", "kind", "subject", "severity"),
    [
        ({"stopped": ["alerts.check"]}, Kind.JOB_STOPPED, "alerts.check", Severity.CRITICAL),
        ({"beats": 0}, Kind.BEAT_STOPPED, "beat", Severity.CRITICAL),
        ({"overdue": {"a": 5.0, "b": 9.0}}, Kind.BEAT_STOPPED, "beat", Severity.HIGH),
        ({"queues": {"emergency": 1.1}}, Kind.QUEUE_AGE, "emergency", Severity.CRITICAL),
        ({"queues": {"bulk": 601.0}}, Kind.QUEUE_AGE, "bulk", Severity.HIGH),
        ({"backlog": 0.6}, Kind.QUEUE_AGE, "metrics", Severity.HIGH),
        ({"silent": {"steady@host": 25.0}}, Kind.WORKER_FROZEN, "steady@host", Severity.HIGH),
        ({"memory": {"broker": 0.81}}, Kind.MEMORY, "broker", Severity.HIGH),
        ({"memory": {"broker": 0.96}}, Kind.MEMORY, "broker", Severity.CRITICAL),
        ({"settings": {"broker": "may evict"}}, Kind.BROKER, "broker settings", Severity.HIGH),
        ({"settings": {"cache": "may not evict"}}, Kind.CACHE, "cache settings", Severity.HIGH),
        ({"redis_skew": -2.5}, Kind.CLOCK_SKEW, "the broker", Severity.HIGH),
        ({"postgres": Postgres(skew=3.0)}, Kind.CLOCK_SKEW, "PostgreSQL", Severity.HIGH),
        ({"postgres": Postgres(connections=0.9)}, Kind.DATABASE, "connections", Severity.HIGH),
        ({"postgres": Postgres(standby_behind=31)}, Kind.DATABASE, "standby", Severity.HIGH),
        ({"postgres": Postgres(wal_held=6 * 2**30)}, Kind.DATABASE, "slot", Severity.HIGH),
        ({"postgres": Postgres(wraparound=0.8)}, Kind.DATABASE, "wraparound", Severity.CRITICAL),
        ({"postgres": Postgres(dead_rows={"alerts": 0.7})}, Kind.DATABASE, "bloat alerts", Severity.MEDIUM),
        (
            {"postgres": Postgres(missing_partitions=("metric_points",))},
            Kind.STORAGE,
            "partitions",
            Severity.HIGH,
        ),
        ({"undelivered": 2}, Kind.NOTIFICATION, "undelivered", Severity.HIGH),
        ({"disks": {"/": 0.93}}, Kind.STORAGE, "/", Severity.CRITICAL),
        ({"unavailable": {Kind.CACHE: "refused"}}, Kind.CACHE, "cache", Severity.CRITICAL),
    ],
)
def test_each_thing_that_is_wrong_is_one_breach(
    facts: dict[str, Any], kind: Kind, subject: str, severity: Severity
) -> None:
    assert _found(**facts) == [(kind, subject, severity)]


def test_what_could_not_be_asked_is_not_over() -> None:
    found, known = evaluate(Seen(unavailable={Kind.BROKER: "refused", Kind.DATABASE: "refused"}), Policy())
    assert {one.kind for one in found} == {Kind.BROKER, Kind.DATABASE}
    assert not known & {Kind.JOB_STOPPED, Kind.QUEUE_AGE, Kind.MEMORY, Kind.CLOCK_SKEW, Kind.STORAGE}


def test_of_what_could_not_be_asked_nothing_is_known() -> None:
    assert set(NEEDS) == {kind for kind in Kind if kind.evaluator is Evaluator.TASK_SYSTEM}
    for kind, field in NEEDS.items():
        assert field == "unavailable" or kind not in evaluate(Seen(), Policy())[1]
    assert (
        Kind.BEAT_STOPPED
        not in evaluate(starting(Seen(stopped=[], overdue={}, silent={}, beats=1)), Policy())[1]
    )


def test_each_queue_has_its_latency_objective() -> None:
    assert tuple(LATENCY_OBJECTIVES) == queues.NAMES
