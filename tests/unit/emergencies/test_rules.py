"""The protocols: which holds, what is due, what makes no sense."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from workers.emergencies.rules import (
    DEFAULT,
    SETTLED,
    EmergencyKind,
    Policy,
    Protocol,
    StepState,
    choose,
    read,
    ready,
)

STEP = {"what": "call the venue", "owner": "planner", "within_minutes": 5}


def _protocol(what: str = "a", **facts: Any) -> Protocol:
    return Protocol(**{"kind": "venue", "step": [STEP | {"what": what}]} | facts)


@pytest.mark.parametrize("kind", list(EmergencyKind))
def test_each_kind_has_a_default_that_can_be_run_to_its_end(kind: EmergencyKind) -> None:
    protocol = Protocol(kind=kind, step=DEFAULT[kind])
    states = {number: (StepState.WAITING, one.after) for number, one in enumerate(protocol.step, start=1)}
    while due := ready(states):
        for number in due:
            states[number] = (StepState.COMPLETED, states[number][1])
    assert {state for state, _ in states.values()} == {StepState.COMPLETED}
    for one in protocol.step:
        for earlier in one.after:
            assert protocol.step[earlier - 1].within <= one.within


def test_a_step_is_due_once_all_that_it_comes_after_is_settled() -> None:
    for state in StepState:
        assert ready({1: (state, ()), 2: (StepState.WAITING, (1,))}) == (
            [1] if state is StepState.WAITING else [2] if state in SETTLED else []
        )


def test_the_protocol_of_a_planner_goes_before_that_of_a_region_and_that_before_others() -> None:
    everywhere, east = _protocol("everywhere"), _protocol("east", region="east")
    own, both = _protocol("p-1", planner="p-1"), _protocol("both", planner="p-1", region="east")
    protocols = [everywhere, east, own, both, _protocol("weather", kind="weather")]
    chosen = [
        choose(protocols, EmergencyKind.VENUE, region, planners)[0].what
        for region, planners in [("west", []), ("east", []), ("west", ["p-1"]), ("east", ["p-2", "p-1"])]
    ]
    assert chosen == ["everywhere", "east", "p-1", "both"]
    assert choose([east], EmergencyKind.VENUE, "west", []) == DEFAULT[EmergencyKind.VENUE]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "flood"}, "kind"),
        ({"step": []}, "step"),
        ({"step": [STEP | {"after": [1]}]}, "step 1 comes after 1"),
        ({"step": [STEP, STEP | {"after": [3]}, STEP]}, "step 2 comes after 3"),
        ({"step": [STEP | {"owner": "ada@example.com"}]}, "owner"),
        ({"step": [STEP | {"within_minutes": 0}]}, "within_minutes"),
        ({"step": [STEP | {"what": "a\x00b"}]}, "what"),
        ({"step": [STEP | {"action": {"send": {"headline": ""}}}]}, "headline"),
        ({"step": [STEP | {"action": {"explode": True}}]}, "explode"),
        ({"step": [STEP | {"withinminutes": 1}]}, "withinminutes"),
        ({"region": "a b"}, "region"),
    ],
)
def test_a_protocol_that_makes_no_sense_is_refused_by_field(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        read({"protocol": [{"kind": "venue", "step": [STEP]} | wrong]})


def test_waits_in_which_nobody_would_hear_of_it_are_refused() -> None:
    assert Policy().waits == (timedelta(0), timedelta(minutes=2), timedelta(minutes=3))
    for name in ("operations_after", "lead_after"):
        with pytest.raises(ValueError, match=name):
            Policy(**{name: timedelta(hours=2)})
