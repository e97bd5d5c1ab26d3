"""Every decision can be explained from what its row keeps, and by the functions that made it."""

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import NOON
from workers.scaling.rules.decision import Reading, Reason, decide
from workers.scaling.rules.policy import SHARED, Policy, Resource
from workers.scaling.rules.why import explain
from workers.scaling.store import inputs

HOUR = timedelta(hours=1)
LOADS = st.none() | st.floats(0, 20_000) | st.sampled_from([float("nan"), -1.0])


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    resource = draw(st.sampled_from(list(Resource)))
    return Reading(
        region="everywhere" if resource in SHARED else "east",
        has=draw(st.integers(0, 30)),
        load=draw(LOADS),
        expected=draw(LOADS),
        resource=resource,
        upper=draw(LOADS),
        pressure=draw(st.floats(0, 3)),
        lately=draw(LOADS),
        quantiles=draw(st.dictionaries(st.sampled_from(["p10", "p50", "p90", "p99"]), st.floats(0, 9_999))),
        frozen_until=draw(st.none() | st.sampled_from([NOON - HOUR, NOON + HOUR])),
        changed_at=draw(st.none() | st.sampled_from([NOON - HOUR, NOON - HOUR / 60, NOON - 3 * HOUR])),
        floor=draw(st.integers(0, 4)),
        emergency=draw(st.sampled_from([0, 0, 5, 10])),
        allowed=draw(st.sampled_from([0, 0, 15])),
        shrunk_from=draw(st.sampled_from([0, 0, 9])),
        undone=draw(st.integers(0, 3)),
        **{name: draw(st.booleans()) for name in FLAGS},
    )


FLAGS = (
    "ceremony_ahead",
    "scale_in_suspended",
    "scale_out_suspended",
    "expired",
    "partly",
    "unlearned",
    "unasked",
)


@given(reading=readings())
def test_a_decision_is_made_again_from_what_its_row_keeps(reading: Reading) -> None:
    policy = Policy(shrink_after=HOUR, instances_ceiling=20)
    stored = orjson.loads(orjson.dumps(inputs.kept(reading, policy)))
    read = inputs.read(stored)
    assert read
    assert decide(*read, now=NOON) == decide(reading, policy, now=NOON)
    found = explain(*read, now=NOON)
    assert found.decision == decide(reading, policy, now=NOON)
    assert all(one.decision != found.decision for one in found.otherwise)


def test_what_version_2_kept_is_read_by_its_words() -> None:
    """With what the version before calls its fields now."""
    reading = replace(CALM, scale_in_suspended=True, expected_previous_id=7, expired=True)
    stored = orjson.loads(orjson.dumps(inputs.kept(reading, Policy(attempts_max=9))))
    older = {new: old for old, new in inputs.RENAMED.items()}
    before = {
        "version": 2,
        **{
            part: {older.get(name, name): value for name, value in stored[part].items()}
            for part in ("reading", "policy")
        },
    }
    assert {"hold_in", "follows", "over"} <= before["reading"].keys()
    assert "attempts_most" in before["policy"]
    assert inputs.read(before) == (reading, Policy(attempts_max=9))


CALM = Reading("east", 4, load=2000.0, expected=2000.0, lately=100.0)
LOW = replace(CALM, load=0.0, expected=0.0)
#: A reading for every reason, and by what its outcome would have been another.
CASES = {
    Reason.CEREMONY_AHEAD: (replace(CALM, expected=4000.0, ceremony_ahead=True), "nothing had been forecast"),
    Reason.FORECAST: (replace(CALM, expected=4000.0), "nothing had been forecast"),
    Reason.MAY_CLIMB: (replace(CALM, upper=6000.0), "no climb had been possible"),
    Reason.DEMAND: (replace(CALM, load=6000.0), "nobody had been connected"),
    Reason.PRESSURE: (replace(CALM, pressure=1.4), "nothing had been strained"),
    Reason.OVER_SCALED_IN: (replace(CALM, pressure=1.2, shrunk_from=8), "nothing had been taken away before"),
    Reason.EMERGENCY: (replace(CALM, emergency=9), "nobody had ordered an emergency"),
    Reason.PEAK_SEASON: (replace(CALM, floor=5), "it had not been the peak season"),
    Reason.FEWER_EXPECTED: (LOW, "the last half hour had been as calm as now"),
    Reason.APPROVAL_ENDED: (
        replace(LOW, has=12, expired=True, changed_at=NOON),
        "the approval had not ended",
    ),
    Reason.ENOUGH: (replace(CALM, expected=2800.0), "nothing had been forecast"),
    Reason.CEREMONY_RUNNING: (replace(LOW, frozen_until=NOON + HOUR), "no wedding had been near"),
    Reason.COOLING_DOWN: (replace(LOW, changed_at=NOON), "nothing had changed of late"),
    Reason.NOT_MEASURED: (replace(LOW, load=None), "all had been measured and asked"),
    Reason.PAUSED: (replace(LOW, scale_in_suspended=True), "scaling in had not been suspended"),
    Reason.ABOVE_CAP: (replace(CALM, load=9000.0), "as much as possible had been approved"),
}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_would_have_changed_it(reason: Reason) -> None:
    reading, course = CASES[reason]
    # Two of three are kept after the last half hour: less of that would leave fewer.
    reading = replace(reading, lately=2000.0) if reason is Reason.FEWER_EXPECTED else reading
    found = explain(reading, Policy(), now=NOON)
    if reason is Reason.ABOVE_CAP:
        assert (found.decision.to, found.decision.beyond) == (10, 13)
    else:
        assert found.decision.reason is reason
    assert course in {one.if_ for one in found.otherwise}
