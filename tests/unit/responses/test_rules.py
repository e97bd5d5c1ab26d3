"""Playbooks: which ladder, which step, what it did, when it is over."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.made import NOON
from tests.unit.alerts.test_muting import standing
from workers.alerts.rules import kinds
from workers.alerts.rules.kinds import Kind, Severity, Tempo
from workers.alerts.rules.lifecycle import State
from workers.connections.rules import shedding
from workers.responses.rules import (
    PLAYBOOKS,
    Action,
    Decision,
    Outcome,
    Playbook,
    Policy,
    Reason,
    Response,
    decide,
    effect,
    ladder,
    playbook,
    recovered,
    scope,
)
from workers.weddings.rules.calendar import Phase

POLICY = Policy()
SLOW = replace(standing(severity=Severity.CRITICAL), value=6000.0)
LADDER = (Action.EMERGENCY_MODE, Action.SCALE)


def _step(number: int = 1, outcome: Outcome = Outcome.ACTING, ago: float = 30, **facts: Any) -> Response:
    given = {"action": LADDER[number - 1], "region": "east", "wedding_id": "", "before": 6000.0} | facts
    return Response(number, 1, number, outcome=outcome, at=NOON - timedelta(seconds=ago), **given)


def _decided(*taken: Response, **facts: Any) -> Decision | None:
    return decide(replace(SLOW, **facts), taken, LADDER, Tempo.RUNNING, POLICY, now=NOON)


@pytest.mark.parametrize(
    ("kind", "severity", "tempo", "first"),
    [
        (Kind.RESPONSE_TIME, Severity.CRITICAL, Tempo.WEDDING_DAY, Action.EMERGENCY_MODE),
        (Kind.RESPONSE_TIME, Severity.CRITICAL, Tempo.ORDINARY, Action.SCALE),
        (Kind.ERROR_RATE, Severity.HIGH, Tempo.ORDINARY, Action.GROW_CACHE),
        (Kind.ERROR_RATE, Severity.HIGH, Tempo.RUNNING, Action.SCALE),
        (Kind.GUEST_LIST, Severity.MEDIUM, Tempo.RUNNING, Action.GROW_CACHE),
        (Kind.AVAILABILITY, Severity.CRITICAL, Tempo.RUNNING, Action.EMERGENCY_MODE),
        (Kind.ANOMALY, Severity.MEDIUM, Tempo.RUNNING, Action.WATCH),
        (Kind.JOB_STOPPED, Severity.CRITICAL, Tempo.RUNNING, None),
    ],
)
def test_the_ladder_follows_kind_severity_and_time(
    kind: Kind, severity: Severity, tempo: Tempo, first: Action | None
) -> None:
    found = playbook(replace(SLOW, kind=kind, severity=severity), tempo)
    assert (found.ladder[0] if found else None) == first


def _ladder(
    phase: Phase, *, cache_is_small: bool = False, severity: Severity = Severity.CRITICAL
) -> list[str]:
    found = playbook(replace(SLOW, severity=severity), Tempo.RUNNING)
    assert found is not None
    return [str(one) for one in ladder(found, [phase], cache_is_small=cache_is_small)]


SHED = ["shed_presence", "shed_typing", "shed_history", "shed_broadcast"]


@pytest.mark.parametrize(
    ("phase", "shed"),
    [
        (Phase.PLANNING, SHED),
        (Phase.SETUP, SHED[:3]),
        (Phase.CEREMONY, SHED),
        (Phase.RECEPTION, SHED[:3]),
        (Phase.WIND_DOWN, SHED),
        (Phase.OVER, SHED),
    ],
)
def test_what_is_left_out_depends_on_the_phase_and_is_never_the_timeline(
    phase: Phase, shed: list[str]
) -> None:
    assert _ladder(phase) == ["emergency_mode", "scale", *shed]
    assert all("timeline" not in one for one in _ladder(phase))
    assert set(shedding.SHEDDING) == set(Phase)


def test_where_weddings_are_in_several_phases_only_what_all_can_do_without_is_left_out() -> None:
    assert shedding.sheddable([Phase.CEREMONY, Phase.RECEPTION]) == tuple(shedding.Feature)[:3]
    assert shedding.sheddable([]) == tuple(shedding.Feature)


@pytest.mark.parametrize("severity", list(Severity))
def test_a_cache_without_pressure_is_not_grown(severity: Severity) -> None:
    for one in PLAYBOOKS:
        steps = ladder(one, [], cache_is_small=False)
        assert steps
        assert Action.GROW_CACHE not in steps
    assert "grow_cache" in _ladder(Phase.CEREMONY, cache_is_small=True, severity=severity)


def test_what_is_only_odd_never_gets_what_could_do_harm() -> None:
    for one in PLAYBOOKS:
        if one.name is Kind.ANOMALY.playbook:
            assert set(one.ladder) == {Action.WATCH}


@pytest.mark.parametrize(
    ("taken", "facts", "decision"),
    [
        ((), {}, Decision(Reason.DEGRADED, take=Action.EMERGENCY_MODE, number=1)),
        ((), {"state": State.PENDING}, None),
        ((), {"state": State.ACKNOWLEDGED}, Decision(Reason.DEGRADED, take=Action.EMERGENCY_MODE, number=1)),
        ((_step(ago=29),), {}, None),
        ((_step(),), {"value": 4800.0}, Decision(Reason.MEASURED, measured=Outcome.BETTER)),
        ((_step(),), {"value": 5900.0}, Decision(Reason.MEASURED, measured=Outcome.NO_BETTER)),
        ((_step(),), {"value": 7300.0}, Decision(Reason.WORSE, measured=Outcome.WORSE)),
        ((_step(),), {"seen_at": NOON - timedelta(minutes=1)}, None),
        ((_step(ago=99), _step(2, Outcome.NO_BETTER)), {"severity": Severity.MEDIUM}, None),
        ((_step(outcome=Outcome.NO_BETTER),), {}, Decision(Reason.NO_BETTER, take=Action.SCALE, number=2)),
        ((_step(outcome=Outcome.WORSE),), {}, Decision(Reason.NO_BETTER, take=Action.SCALE, number=2)),
        ((_step(outcome=Outcome.BETTER, ago=59),), {}, None),
        (
            (_step(outcome=Outcome.BETTER, ago=60),),
            {},
            Decision(Reason.NO_BETTER, take=Action.SCALE, number=2),
        ),
        ((_step(ago=99), _step(2, Outcome.NO_BETTER)), {}, Decision(Reason.EXHAUSTED)),
    ],
)
def test_one_decision_at_a_time(
    taken: tuple[Response, ...], facts: dict[str, Any], decision: Decision | None
) -> None:
    assert _decided(*taken, **facts) == decision


def test_on_an_ordinary_day_a_step_has_longer_to_show_what_it_did() -> None:
    assert decide(SLOW, [_step(ago=59)], LADDER, Tempo.ORDINARY, POLICY, now=NOON) is None


def test_an_effect_is_what_is_a_fifth_away() -> None:
    assert [effect(100, value, POLICY) for value in (80, 81, 120, 121)] == [
        Outcome.BETTER,
        Outcome.NO_BETTER,
        Outcome.NO_BETTER,
        Outcome.WORSE,
    ]
    assert effect(0, 0, POLICY) is Outcome.NO_BETTER, "nothing was measured, or nothing was wrong"


def test_it_is_over_once_the_indicator_was_calm_for_a_while() -> None:
    assert not recovered(replace(SLOW, calm_since=NOON - timedelta(seconds=19)), POLICY, now=NOON)
    assert recovered(replace(SLOW, calm_since=NOON - timedelta(seconds=20)), POLICY, now=NOON)
    assert not recovered(replace(SLOW, seen_at=NOON - timedelta(hours=1)), POLICY, now=NOON), (
        "silence is not health"
    )
    assert recovered(replace(SLOW, state=State.RESOLVED, seen_at=NOON), POLICY, now=NOON)


def test_what_all_share_has_one_scope_and_what_is_a_regions_its_own() -> None:
    grown = {"action": Action.GROW_CACHE}
    assert scope(_step(**grown, region="east")) == scope(_step(**grown, region="west"))
    assert scope(_step(region="east")) != scope(_step(region="west"))
    assert scope(_step(wedding_id="w-1")) == scope(_step(wedding_id="w-1", region="west"))
    assert scope(_step(wedding_id="w-1")) != scope(_step())
    assert scope(_step(2, region="east")) != scope(_step(2, region="west"))


@pytest.mark.parametrize("facts", [{"better": 0.0}, {"better": 1.0}, {"worse": 0.0}])
def test_a_policy_that_calls_everything_better_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="better must lie"):
        Policy(**facts)


def test_every_playbook_that_a_kind_names_has_its_ladders_for_all_that_pages() -> None:
    assert {one.name for one in PLAYBOOKS} == {kind.playbook for kind in Kind} - {kinds.Playbook.NONE}
    for kind in Kind:
        for severity in Severity if kind.playbook is kinds.Playbook.SLOW else ():
            for tempo in Tempo:
                assert playbook(replace(SLOW, kind=kind, severity=severity), tempo)


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_what_is_known_of_one_wedding_moves_no_region(playbook: Playbook) -> None:
    steps = ladder(playbook, list(Phase), cache_is_small=False, of_a_wedding=True)
    assert not {Action.SCALE, Action.DRAIN_REGION, Action.GROW_CACHE} & set(steps)
