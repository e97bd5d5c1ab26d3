"""The edges of scaling's rules.

What is just allowed, exactly enough, not a number, or in steps other than one.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.made import NOON, wedding
from tests.unit.scaling.test_capacity import INF, NAN, _forecast, _reading
from workers.forecasting.rules.forecast import Forecast
from workers.scaling.rules.capacity import Limit, full_days
from workers.scaling.rules.decision import Bid, Decision, Reason, decide, gives_back
from workers.scaling.rules.leads import lead, longest_lead
from workers.scaling.rules.orders import Kind, Mode, Order, mode
from workers.scaling.rules.policy import Bounds, Policy, Resource
from workers.scaling.rules.why import Otherwise, explain
from workers.weddings.rules.calendar import VenueType

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CACHE = {"resource": Resource.CACHE_MB}


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        (CACHE | {"has": 256, "load": 99_999}, Decision(1024, Reason.DEMAND)),
        (CACHE | {"has": 1024, "load": 0.0}, Decision(512, Reason.FEWER_EXPECTED)),
        (CACHE | {"has": 1024, "load": 0.0, "pressure": 0.6}, Decision(640, Reason.FEWER_EXPECTED)),
        (CACHE | {"has": 320, "load": 0.0, "pressure": 1.5}, Decision(512, Reason.PRESSURE)),
        ({"load": 2880, "scale_out_suspended": True}, Decision(4, Reason.ENOUGH)),
        ({"load": 9_000, "scale_out_suspended": True}, Decision(4, Reason.PAUSED, 13)),
        ({"has": 8, "pressure": 0.9}, Decision(8, Reason.COOLING_DOWN)),
        ({"pressure": 1.0}, Decision(4, Reason.COOLING_DOWN)),
        ({"pressure": 1.1}, Decision(4, Reason.PRESSURE)),
        ({"pressure": NAN}, Decision(2, Reason.FEWER_EXPECTED)),
        ({"pressure": INF}, Decision(2, Reason.FEWER_EXPECTED)),
        ({"pressure": NAN, "load": NAN}, Decision(4, Reason.NOT_MEASURED)),
        ({"has": 1, "load": 0.0, "expected": 0.0}, Decision(2, Reason.DEMAND)),
        ({"has": 1, "load": 0.0, "expected": 0.5}, Decision(2, Reason.FORECAST)),
        ({"load": 5000.0, "expected": 5000.0}, Decision(7, Reason.DEMAND)),
        ({"pressure": 9.0, "changed_at": NOON - 3 * MINUTE}, Decision(6, Reason.PRESSURE)),
        ({"has": 10, "changed_at": NOON}, Decision(10, Reason.COOLING_DOWN)),
        ({"undone": 9, "changed_at": NOON - 16 * HOUR}, Decision(2, Reason.FEWER_EXPECTED)),
        ({"undone": 9, "changed_at": NOON - 16 * HOUR + MINUTE}, Decision(4, Reason.COOLING_DOWN)),
        ({"partly": True}, Decision(4, Reason.NOT_MEASURED)),
        ({"unasked": True}, Decision(4, Reason.NOT_MEASURED)),
    ],
)
def test_decisions_at_their_edges(facts: Any, decision: Any) -> None:
    assert decide(_reading(**facts), Policy(), now=NOON) == decision


@pytest.mark.parametrize(
    "fine",
    [
        {"instances_min": 1},
        {"instances_min": 10},
        {"instances_peak_min": 10},
        {"instances_ceiling": 10},
        {"new_regions": "live"},
        {"boot": timedelta(0)},
        {"boot": 12 * HOUR},
        {"linger": 30 * DAY},
        {"utilisation": 1},
        {"attempts_max": 1},
        {"weddings_per_worker_process": 1},
        {"plan_connections": 0, "plan_joins_per_second": 0},
    ],
)
def test_the_ends_are_allowed(fine: Any) -> None:
    Policy(**fine)


@pytest.mark.parametrize(
    "wrong",
    [
        {"instances_peak_min": 11},
        {"cache_mb_peak_min": -1},
        {"boot": 12 * HOUR + MINUTE},
        {"linger": 30 * DAY + MINUTE},
        {"linger": -MINUTE},
        {"weddings_per_worker_process": 0},
        {"latency_ms": 0},
        {"memory": 0},
        {"queue_seconds": 0},
        {"plan_connections": -1},
        {"plan_joins_per_second": -1},
        {"connections_per_instance": 0},
        {"users_per_database_connection": 0},
    ],
)
def test_beyond_is_not(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        Policy(**wrong)


def test_a_policy_tells_its_bounds() -> None:
    policy = Policy()
    assert policy.bounds(Resource.CACHE_MB) == Bounds(256, 1024, 20, 64, 1024)
    assert policy.bounds(Resource.INSTANCES) == Bounds(2, 10, 1000, 1, 20)
    assert [policy.peak_floor(one) for one in Resource] == [3, 0, 0, 512, 0]
    assert (policy.boot_minutes, policy.negligible_load) == (2, 500.0)


def test_days_are_told_in_the_regions_zone_at_the_first_moment_of_the_most() -> None:
    policy, low = Policy(), [100.0] * 6
    p99 = np.array([7200.0, 9000.0, 9000.0, 8000.0, 7200.0, 100.0])
    night = Forecast(
        "east",
        datetime(2026, 10, 10, 2, tzinfo=UTC),
        5 * MINUTE,
        {"p50": np.array(low), "p99": p99},
        zone="America/New_York",
    )
    [one] = full_days([night], policy)
    assert (one.day, one.at, one.needed) == (date(2026, 10, 9), night.starts_at + 5 * MINUTE, 13)
    assert full_days([_forecast("east", low, [7200.0] * 6)], policy) == []  # ten carry just that
    [huge] = full_days([_forecast("east", low, [1e15] * 6)], policy)
    assert huge.needed == 2**31 - 1


def test_of_forecasts_of_unlike_length_what_both_say_counts() -> None:
    one, other = _forecast("east", [100.0] * 6, [100.0] * 6), _forecast("west", [100.0] * 4, [100.0] * 4)
    [found] = full_days([one, other], Policy(plan_connections=150))
    assert (found.limit, found.needed) == (Limit.CONNECTIONS, 200)


def test_joins_are_those_of_a_quarter_of_an_hour() -> None:
    policy = Policy(plan_joins_per_second=1, instances_max=99)
    ramp = [900.0, 900.0, 1800.0, 2700.0, 3600.0, 3600.0, 3600.0, 3600.0]
    [found] = full_days([_forecast("east", ramp, ramp)], policy)
    assert (found.limit, found.needed, found.at) == (Limit.JOINS_PER_SECOND, 3, NOON + 20 * MINUTE)
    quarter = Forecast(
        "east", NOON, 15 * MINUTE, {name: np.array([0.0, 1800.0, 3600.0]) for name in ("p50", "p99")}
    )
    [found] = full_days([quarter], policy)
    assert (found.needed, found.at) == (2, NOON + 15 * MINUTE)
    falling = [9000.0, 8000.0, 7000.0, 6000.0, 5000.0]
    assert full_days([_forecast("east", falling, falling)], replace(policy, plan_joins_per_second=1)) == []


@pytest.mark.parametrize(
    ("facts", "to", "back"),
    [
        ({"shrunk_from": 8, "pressure": 1.2}, 8, True),
        ({"shrunk_from": 8, "pressure": 1.2}, 7, False),
        ({"shrunk_from": 8, "pressure": 1.1}, 8, False),
        ({"shrunk_from": 4, "pressure": 1.2}, 8, False),
        ({"shrunk_from": 14, "pressure": 1.2}, 10, True),
        ({"shrunk_from": 0, "pressure": 1.2}, 8, False),
    ],
)
def test_what_undoes_the_last_decision_gives_back(facts: Any, to: Any, back: Any) -> None:
    assert gives_back(_reading(**facts), Decision(to, Reason.OVER_SCALED_IN), Policy()) is back


def test_leads() -> None:
    policy = Policy(lead=timedelta(0))
    leads = [lead(policy, wedding(venue_type=venue)) for venue in VenueType]
    assert max(leads) > min(leads)
    assert longest_lead(policy) == max(leads)
    assert longest_lead(Policy(lead=99 * HOUR)) == lead(Policy(lead=99 * HOUR), wedding()) == 99 * HOUR


@pytest.mark.parametrize(
    ("ordered", "facts", "found"),
    [
        (set(), {}, Mode.SHADOW),
        (set(), {"new_regions": "live"}, Mode.LIVE),
        ({Kind.LIVE}, {}, Mode.LIVE),
        ({Kind.LIVE, Kind.SHADOW}, {}, Mode.SHADOW),
        ({Kind.LIVE}, {"predictive": False}, Mode.SHADOW),
        ({Kind.SHADOW}, {"new_regions": "live"}, Mode.SHADOW),
    ],
)
def test_a_shadow_order_wins(ordered: Any, facts: Any, found: Any) -> None:
    assert mode(ordered, Policy(**facts)) is found


def test_an_order_holds_from_its_moment_until_before_its_end() -> None:
    order = Order("east", Kind.LIVE, "so", "me", NOON)
    assert [order.holds(at) for at in (NOON - MINUTE, NOON, NOON + DAY)] == [False, True, True]
    for end in ("until", "ended_at"):
        ended = replace(order, **{end: NOON + HOUR})
        assert [ended.holds(at) for at in (NOON + HOUR - MINUTE, NOON + HOUR)] == [True, False]


def test_an_explanation_says_all_of_itself() -> None:
    found = explain(_reading(load=5000.0, scale_in_suspended=True, pressure=1.05), Policy(), now=NOON)
    assert found.bids == (
        Bid(7, Reason.DEMAND),
        Bid(2, Reason.MAY_CLIMB),
        Bid(0, Reason.PEAK_SEASON),
        Bid(0, Reason.EMERGENCY),
    )
    assert (found.min, found.cap, found.ceiling, found.holds) == (2, 10, 20, (Reason.PAUSED, Reason.PRESSURE))
    assert found.otherwise == (Otherwise("nobody had been connected", Decision(4, Reason.PAUSED)),)


@pytest.mark.parametrize(
    "fact", [{"partly": True}, {"unlearned": True}, {"unasked": True}, {"load": None}, {"expected": None}]
)
def test_what_was_not_measured_is_said_to_have_bound_it(fact: Any) -> None:
    found = {one.if_: one.decision for one in explain(_reading(**fact), Policy(), now=NOON).otherwise}
    assert found["all had been measured and asked"] == Decision(2, Reason.FEWER_EXPECTED)


def test_what_was_measured_counts_when_the_rest_had_been() -> None:
    found = explain(_reading(load=None, expected=2100.0), Policy(), now=NOON).otherwise
    assert Otherwise("all had been measured and asked", Decision(3, Reason.FEWER_EXPECTED)) in found


COURSES = {
    "nobody had been connected": {"load": 6000.0},
    "nothing had been forecast": {"expected": 6000.0},
    "no climb had been possible": {"upper": 6000.0},
    "the last half hour had been as calm as now": {"lately": 3000.0},
    "nothing had been strained": {"pressure": 1.05},
    "nothing had been taken away before": {"changed_at": NOON - 45 * MINUTE, "undone": 1},
    "it had not been the peak season": {"floor": 4},
    "nobody had ordered an emergency": {"emergency": 6},
    "scaling in had not been suspended": {"scale_in_suspended": True},
    "scaling out had not been suspended": {"load": 6000.0, "scale_out_suspended": True},
    "no wedding had been near": {"frozen_until": NOON + HOUR},
    "nothing had changed of late": {"changed_at": NOON},
    "the approval had not ended": {"has": 13, "load": 9000.0, "expired": True},
    "as much as possible had been approved": {"load": 9000.0},
}


@pytest.mark.parametrize("course", COURSES)
def test_each_course_changes_its_fact(course: Any) -> None:
    assert course in {one.if_ for one in explain(_reading(**COURSES[course]), Policy(), now=NOON).otherwise}
