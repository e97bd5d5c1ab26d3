"""Every kind of alert lives its whole life.

It opens, fires and is over, by who evaluates it and by nobody else.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from math import isfinite

import pytest

from workers.alerts import tasks
from workers.alerts.rules.kinds import Evaluator, Kind
from workers.alerts.rules.lifecycle import Breach, Policy, State
from workers.alerts.store import alerts as store
from workers.alerts.usecases import evaluation
from workers.foundation import clock, database, jobs
from workers.measurements.rules.objectives import OBJECTIVES
from workers.measurements.rules.samples import Sample
from workers.measurements.store.writer import Writer
from workers.measurements.usecases import intake
from workers.responses import tasks as responses
from workers.selfwatch.usecases.watching import Watch
from workers.snapshots import store as snapshots
from workers.snapshots.rules import Snapshot

pytestmark = pytest.mark.usefixtures("world")
#: It must last, and it must be away: both for next to no time.
POLICY = Policy(pending_for=timedelta(milliseconds=1), resolve_after=timedelta(0))


def _breach(kind: Kind) -> Breach:
    return Breach(kind, "a subject", kind.worst, 1.0, "a test")


def _find_all() -> None:
    for evaluator in Evaluator:
        evaluation.reconcile(
            [_breach(kind) for kind in Kind if kind.evaluator is evaluator],
            evaluator,
            POLICY,
            now=clock.now(),
        )


def _states() -> dict[Kind, State]:
    with database.transaction() as db:
        return {one.kind: one.state for one in store.listed(db, limit=None)}


def test_every_kind_opens_fires_and_is_over() -> None:
    for expected in (State.PENDING, State.FIRING):
        _find_all()
        assert set(_states().values()) == {expected}
    over = set[Kind]()
    for evaluator in Evaluator:
        evaluation.reconcile([], evaluator, POLICY, now=clock.now())
        over |= {kind for kind in Kind if kind.evaluator is evaluator}
        assert {kind for kind, state in _states().items() if state is State.RESOLVED} == over, (
            "nobody ends what another evaluates"
        )
    assert over == set(Kind)


def _watch() -> None:
    """Look where a beat runs, and nothing is overdue."""
    jobs.claim("alerts.check", due=clock.epoch(), pace=10.0, beat="one")
    Watch().look()


@pytest.mark.parametrize(
    ("evaluator", "look"),
    [
        (Evaluator.REALTIME, tasks.watch),
        (Evaluator.TASK_SYSTEM, _watch),
        (Evaluator.RESPONSES, responses.respond),
    ],
)
def test_who_evaluates_a_kind_really_ends_it(
    evaluator: Evaluator, look: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On servers that are well."""
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    _find_all()
    _find_all()
    look()
    over = {kind for kind, state in _states().items() if state is State.RESOLVED}
    assert over == {kind for kind in Kind if kind.evaluator is evaluator}


def test_what_is_measured_as_good_ends_every_kind_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_RESOLVE_AFTER", "0s")
    subjects = {one.alert: f"us-west/{one.name}" for one in OBJECTIVES}
    kinds = [kind for kind in Kind if kind.evaluator is Evaluator.MEASUREMENTS]
    breaches = [replace(_breach(kind), subject=subjects.get(kind, "us-west")) for kind in kinds]
    for _ in range(2):
        evaluation.reconcile(breaches, Evaluator.MEASUREMENTS, POLICY, now=clock.now())
    tasks.check()
    assert _states() == dict.fromkeys(kinds, State.FIRING) | {Kind.ANOMALY: State.RESOLVED}, (
        "silence is not health"
    )
    with database.transaction() as db:
        snapshots.append(db, [Snapshot("us-west", clock.now(), 10, messages=1_000, p95_ms=40.0)])
    region = (("region", "us-west"),)
    good = [
        Sample(one.series, region, clock.epoch(), one.min if isfinite(one.min) else 0.0) for one in OBJECTIVES
    ]
    assert intake.take(good, sent_by=intake.Source("test"), now=clock.machine_now()).accepted == len(
        OBJECTIVES
    )
    intake.write(Writer("test"))
    tasks.check()
    assert _states() == dict.fromkeys(kinds, State.RESOLVED)


def test_what_was_found_is_known_whoever_found_it() -> None:
    """One that is handed in by the wrong evaluator must not stay pending for ever."""
    for _ in range(2):
        evaluation.reconcile(
            [_breach(Kind.NODE_OUT)],
            Evaluator.TASK_SYSTEM,
            POLICY,
            now=clock.now(),
            evaluated=lambda _: False,
        )
    assert _states() == {Kind.NODE_OUT: State.FIRING}


def test_objectives_alert_by_a_kind_that_measurements_evaluate() -> None:
    for one in OBJECTIVES:
        assert Kind(one.alert).evaluator is Evaluator.MEASUREMENTS
