"""How many instances, and why."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import NOON
from workers.scaling.rules import decision as rules
from workers.scaling.rules.decision import Decision, Reading, Reason
from workers.scaling.rules.policy import Policy

POLICY = Policy()
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
        (
            {"load": 2880, "shrunk_from": 8, "changed_at": NOON, "pressure": 1.2},
            Decision(8, Reason.OVER_SCALED_IN),
        ),
        ({"load": 2880, "shrunk_from": 8, "changed_at": NOON, "pressure": 1.1}, Decision(4, Reason.ENOUGH)),
        (
            {"load": 2880, "shrunk_from": 14, "changed_at": NOON, "pressure": 1.2},
            Decision(10, Reason.OVER_SCALED_IN),
        ),
        (
            {"load": 2880, "shrunk_from": 14, "allowed": 13, "changed_at": NOON, "pressure": 1.2},
            Decision(13, Reason.OVER_SCALED_IN),
        ),
        (
            {"load": 2880, "shrunk_from": 8, "pressure": 1.2, "scale_out_suspended": True},
            Decision(4, Reason.PAUSED),
        ),
        ({"changed_at": NOON - timedelta(minutes=59), "undone": 1}, Decision(4, Reason.COOLING_DOWN)),
        ({"changed_at": NOON - timedelta(minutes=60), "undone": 1}, Decision(2, Reason.FEWER_EXPECTED)),
    ],
)
def test_a_decision_has_its_reason(facts: dict[str, Any], decision: Decision) -> None:
    assert rules.decide(_reading(**facts), POLICY, now=NOON) == decision


def test_what_had_to_be_given_back_is_taken_away_ever_more_seldom() -> None:
    """Eight are more than is needed and four are too few.

    Nobody wants to be moved each half hour for that.
    """
    has, changed_at, taken = 8, NOON - timedelta(hours=1), list[int]()
    for minute in range(1440):
        now = NOON + timedelta(minutes=minute)
        shrunk = has == 4 and now - changed_at < POLICY.shrink_after
        reading = _reading(
            has=has, changed_at=changed_at, pressure=1.2 if has == 4 else 0.4, shrunk_from=8 if shrunk else 0,
            undone=sum(minute - before < 1440 for before in taken),
        )  # fmt: skip
        decision = rules.decide(reading, POLICY, now=now)
        if decision.to < has:
            taken.append(minute)
        if decision.to != has:
            has, changed_at = decision.to, now
    assert 2 <= len(taken) <= 7


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


@pytest.mark.parametrize(
    "wrong", [{"instances_min": 0}, {"instances_min": 11}, {"utilisation": 0}, {"utilisation": 1.1}]
)
def test_bounds_that_leave_nothing_to_choose_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Policy(**wrong)
