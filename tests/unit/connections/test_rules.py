"""Shards, limits, snapshots, service levels and the plan for a peak."""

from datetime import timedelta

import pytest

from tests.made import NOON
from workers.connections import keys
from workers.connections.rules import admission as rules
from workers.connections.rules import levels, peak, report
from workers.connections.rules.admission import UserType
from workers.connections.rules.report import Share
from workers.foundation.moments import Moment
from workers.snapshots.rules import Snapshot
from workers.weddings.rules.calendar import Phase


def test_a_tenant_always_lives_in_the_same_shard() -> None:
    # crc32 as every language has it: `crc32("123456789")` is 0xCBF43926.
    assert keys.shard("123456789", 64) == f"wedops:{{{0xCBF43926 % 64}}}"


def test_a_snapshot_sums_the_shards_by_region() -> None:
    shares = [
        Share(
            {"rt:east|guest": 2},
            {"east|opened": 3, "east|rtt:100": 4, "east|messages": 9, "~node:n1|score": 90},
            {"east": 1},
        ),
        Share({"rt:east|couple": 1}, {"east|errors": 1, "west|swept": 2, "|refused:invalid": 1}, {}),
    ]
    east, north, west = report.snapshots(report.add_up(shares), ["north"], at=NOON)
    assert (east.connections, east.opened, east.messages, east.errors, east.silent) == (3, 3, 9, 1, 1)
    assert east.by_user_type == {"couple": 1, "guest": 2}
    assert east.p95_ms == pytest.approx(97.5)
    assert (north.region, north.connections, north.p95_ms) == ("north", 0, None)
    assert west.swept == 2


def test_refusals_scores_and_reuse_are_read_from_what_went_by() -> None:
    admitted = {
        "east|refused:user_limit": 2,
        "west|refused:user_limit": 1,
        "east|opened": 30,
        "east|reused": 10,
    }
    scored = {"~node:n1|score": 270, "~node:n1|scored": 3, "~wedding:w-1|score": 40, "~wedding:w-1|scored": 1}
    totals = report.add_up([Share({}, admitted | scored, {})])
    assert report.refusals(totals) == {"user_limit": 3}
    assert report.accepted(totals) == {"opened": 30, "reused": 10}
    assert report.scores(totals, "node") == {"n1": 90.0}
    assert report.scores(totals, "wedding") == {"w-1": 40.0}


def test_in_emergency_mode_only_the_guests_share_shrinks() -> None:
    calm, emergency = (rules.admission(rules.Policy(), scopes) for scopes in ([], ["everywhere"]))
    assert {name for name in calm if calm[name] != emergency[name]} == {"shares", "emergencies"}
    shares = [rules.shares(rules.Policy(), emergency=mode) for mode in (False, True)]
    assert {kind for kind in UserType if shares[0][kind] != shares[1][kind]} == {UserType.GUEST}
    assert shares[1][UserType.GUEST] < shares[0][UserType.GUEST]


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("mobile", [True, False])
def test_guests_wait_first_and_a_couple_never(phase: Phase, mobile: bool) -> None:
    def level(user_type: UserType, *, busy: bool, emergency: bool) -> levels.ServiceLevel:
        return levels.service_level(user_type, mobile=mobile, phase=phase, busy=busy, emergency=emergency)

    calm, busy, emergency = (
        {kind: level(kind, busy=kind_of != 0, emergency=kind_of == 2) for kind in UserType}
        for kind_of in range(3)
    )
    assert calm[UserType.GUEST].batch_ms < busy[UserType.GUEST].batch_ms < emergency[UserType.GUEST].batch_ms
    for critical in (UserType.COUPLE, UserType.PLANNER):
        assert calm[critical] == busy[critical] == emergency[critical]
    for found in (calm, busy, emergency):
        shares = [found[kind].bandwidth_share for kind in UserType]
        assert shares == sorted(shares, reverse=True)
        assert found[UserType.VENDOR].batch_ms <= found[UserType.GUEST].batch_ms
    if phase in levels.RUNNING:
        assert emergency[UserType.VENDOR].batch_ms == 0


def test_every_class_has_a_level_under_its_name() -> None:
    told = levels.service_levels(busy=True)
    assert len(told) == 4 * 2 * len(Phase) * 2 * 2, "each also in an emergency, and on a weak network"
    assert told["guest|mobile|ceremony"] == {
        "bandwidth_share": 1,
        "heartbeat_seconds": 30,
        "compression": True,
        "batch_ms": 250,
        "prompt": ("timeline",),
        "other_network": False,
    }


def test_a_peak_is_planned_with_a_fifth_more_in_pools_of_a_thousand() -> None:
    plan = peak.peak_plan(8_000, timedelta(hours=6), capacity=2_000)
    assert (plan.needed, plan.pools) == (9_600, 10)
    pools, warm, clean = plan.steps
    assert (pools.step, pools.amount, pools.takes) == ("add_pools", 8, timedelta(seconds=30))
    assert (warm.step, warm.amount, warm.takes) == ("pre_warm", 2_280, timedelta(seconds=60))
    assert (clean.step, clean.amount, clean.takes) == ("clean_up", 720, timedelta(hours=6))


def test_no_scaling_is_needed_when_the_capacity_is_there() -> None:
    [step] = peak.peak_plan(1_000, timedelta(hours=1), capacity=1_200).steps
    assert step.step == "no_scaling_needed"
    assert len(peak.peak_plan(1_000, timedelta(hours=1), capacity=1_199).steps) == 3


@pytest.mark.parametrize(("expected", "hours", "capacity"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_what_is_no_peak_is_refused(expected: int, hours: int, capacity: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        peak.peak_plan(expected, timedelta(hours=hours), capacity=capacity)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shards": 0},
        {"silent_after": timedelta(0)},
        {"idle_after": timedelta(seconds=1)},
        {"sweep_batch": 0},
        {"user_limit": 0},
        {"guests_share": 1.2},
        {"guests_share_emergency": 0.95},
        {"user_every": timedelta(0)},
    ],
)
def test_a_policy_that_would_end_live_connections_or_let_nobody_in_is_refused(
    wrong: dict[str, object],
) -> None:
    with pytest.raises(ValueError, match="must be"):
        rules.Policy(**wrong)  # type: ignore[arg-type]


def test_detectors_see_round_trips_and_failures_where_enough_was_sent() -> None:
    quiet = Snapshot("east", Moment(NOON), 3, messages=10, errors=9, p95_ms=None)
    busy = Snapshot("west", Moment(NOON), 3, messages=90, errors=10, p95_ms=250.0)
    found = {(one.name, one.labels[0][1]): one.value for one in report.samples([quiet, busy], at=1.0)}
    assert found == {
        ("realtime_round_trip_seconds", "west"): 0.25,
        ("realtime_error_share", "west"): 0.1,
    }
