"""The protocols."""

import pytest

from workers.emergencies.rules import PROTOCOLS, EmergencyKind


@pytest.mark.parametrize("kind", list(EmergencyKind))
def test_each_kind_has_steps_in_the_order_of_their_deadlines(kind: EmergencyKind) -> None:
    deadlines = [step.within for step in PROTOCOLS[kind]]
    assert deadlines
    assert deadlines == sorted(deadlines)
