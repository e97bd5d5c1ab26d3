"""How many instances, and why."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import NOON
from workers.scaling import rules
from workers.scaling.rules import Decision, Reading, Reason

POLICY = rules.Policy()
LATER = NOON + timedelta(hours=1)


def _reading(**facts: Any) -> Reading:
    return Reading(**{"region": "east", "has": 4, "load": 100, "expected": 100.0} | facts)


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        ({"expected": 5000.0, "ceremony_ahead": True}, Decision(7, Reason.CEREMONY_AHEAD)),
        ({"expected": 5000.0}, Decision(7, Reason.FORECAST)),
        ({"load": 5000}, Decision(7, Reason.DEMAND)),
        ({"load": 5000, "ceremony_ahead": True}, Decision(7, Reason.DEMAND)),
        ({"load": 99_999}, Decision(10, Reason.DEMAND, 20)),
        ({"load": 2880}, Decision(4, Reason.ENOUGH)),
        ({"upper": 5001.0}, Decision(6, Reason.MAY_CLIMB)),
        ({"upper": 5001.0, "load": 5000}, Decision(7, Reason.DEMAND)),
        ({"upper": 3001.0}, Decision(4, Reason.ENOUGH)),
        ({"unlearned": True}, Decision(4, Reason.NOT_MEASURED)),
        ({"upper": 2001.0}, Decision(3, Reason.FEWER_EXPECTED)),
        ({"upper": 99_999.0}, Decision(10, Reason.MAY_CLIMB, 20)),
        ({}, Decision(2, Reason.FEWER_EXPECTED)),
        ({"frozen_until": LATER}, Decision(4, Reason.CEREMONY_RUNNING)),
        ({"frozen_until": NOON}, Decision(2, Reason.FEWER_EXPECTED)),
        ({"load": None}, Decision(4, Reason.NOT_MEASURED)),
        ({"expected": None}, Decision(4, Reason.NOT_MEASURED)),
        ({"changed_at": NOON - timedelta(minutes=29)}, Decision(4, Reason.COOLING_DOWN)),
        ({"changed_at": NOON - timedelta(minutes=30)}, Decision(2, Reason.FEWER_EXPECTED)),
        ({"load": 5000, "changed_at": NOON, "frozen_until": LATER}, Decision(7, Reason.DEMAND)),
        ({"load": 2880, "shrunk_from": 8, "changed_at": NOON, "pressure": 1.2}, Decision(8, Reason.TOOK_TOO_MUCH)),
        ({"load": 2880, "shrunk_from": 8, "changed_at": NOON, "pressure": 1.1}, Decision(4, Reason.ENOUGH)),
        ({"load": 2880, "shrunk_from": 14, "changed_at": NOON, "pressure": 1.2}, Decision(10, Reason.TOOK_TOO_MUCH)),
        ({"load": 2880, "shrunk_from": 8, "pressure": 1.2, "hold_out": True}, Decision(4, Reason.PAUSED)),
    ],
)
def test_a_decision_has_its_reason(facts: dict[str, Any], decision: Decision) -> None:
    assert rules.decide(_reading(**facts), POLICY, now=NOON) == decision


@given(
    instances=st.integers(2, 10),
    load=st.none() | st.integers(0, 100_000),
    expected=st.none() | st.floats(0, 100_000),
    frozen=st.booleans(),
)
def test_it_stays_within_bounds_and_never_shrinks_in_a_freeze(
    instances: int, load: int | None, expected: float | None, frozen: bool
) -> None:
    reading = _reading(has=instances, load=load, expected=expected, frozen_until=LATER if frozen else None)
    found = rules.decide(reading, POLICY, now=NOON)
    assert POLICY.instances_min <= found.to <= POLICY.instances_max
    if frozen or load is None:
        assert found.to >= instances


@pytest.mark.parametrize("wrong", [{"instances_min": 0}, {"instances_min": 11}, {"utilisation": 0}, {"utilisation": 1.1}])
def test_bounds_that_leave_nothing_to_choose_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        rules.Policy(**wrong)
