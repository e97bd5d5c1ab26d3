"""Days on which there may not be enough, and resources other than instances."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.made import NOON
from workers.forecasting.rules.forecast import Forecast
from workers.scaling.rules import decision as rules
from workers.scaling.rules.capacity import Limit, full_days
from workers.scaling.rules.decision import Decision, Reading, Reason
from workers.scaling.rules.policy import Policy, Resource
from workers.weddings.rules.calendar import EVERYWHERE

LATER = NOON + timedelta(hours=1)


def _reading(**facts: Any) -> Reading:
    return Reading(**{"region": "east", "has": 4, "load": 100.0, "expected": 100.0} | facts)


@pytest.mark.parametrize(
    ("resource", "load", "has"),
    [
        (Resource.DATABASE_CONNECTIONS, 100, 20),
        (Resource.DATABASE_CONNECTIONS, 3600, 50),
        (Resource.DATABASE_CONNECTIONS, 99_999, 100),
        (Resource.CACHE_MB, 100, 256),
        (Resource.CACHE_MB, 5760, 448),
        (Resource.CACHE_MB, 99_999, 1024),
        (Resource.CONNECTION_POOL, 100, 200),
        (Resource.CONNECTION_POOL, 540, 750),
        (Resource.CONNECTION_POOL, 5000, 1000),
        (Resource.WORKER_PROCESSES, 10, 2),
        (Resource.WORKER_PROCESSES, 1500, 5),
        (Resource.WORKER_PROCESSES, 10_000, 8),
    ],
)
def test_each_resource_has_its_bounds_and_steps(resource: Resource, load: float, has: int) -> None:
    assert rules.decide(_reading(resource=resource, has=1, load=load), Policy(), now=NOON).to == has


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        ({"emergency": 7, "changed_at": NOON, "scale_out_suspended": True}, Decision(7, Reason.EMERGENCY)),
        ({"emergency": 99}, Decision(10, Reason.EMERGENCY, 20)),
        ({"load": 5000, "scale_out_suspended": True}, Decision(4, Reason.PAUSED)),
        ({"load": 5000, "scale_in_suspended": True}, Decision(7, Reason.DEMAND)),
        ({"scale_in_suspended": True}, Decision(4, Reason.PAUSED)),
        ({"floor": 3}, Decision(3, Reason.FEWER_EXPECTED)),
        ({"has": 2, "floor": 3}, Decision(3, Reason.PEAK_SEASON)),
        ({"pressure": 1.3}, Decision(6, Reason.PRESSURE)),
        ({"pressure": 1.09}, Decision(4, Reason.PRESSURE)),
        ({"pressure": 9.0}, Decision(6, Reason.PRESSURE)),
        ({"pressure": 9.0, "changed_at": NOON - timedelta(minutes=2)}, Decision(4, Reason.PRESSURE)),
        ({"load": 9_000, "allowed": 13}, Decision(13, Reason.DEMAND)),
        ({"load": 9_000, "allowed": 12}, Decision(12, Reason.DEMAND, 13)),
        ({"has": 13, "load": 9_000, "expired": True}, Decision(10, Reason.APPROVAL_ENDED, 13)),
        ({"has": 13, "load": None, "expired": True}, Decision(13, Reason.NOT_MEASURED)),
        ({"has": 13, "frozen_until": LATER, "expired": True}, Decision(13, Reason.CEREMONY_RUNNING)),
        # Somebody gave it more than we would: it goes only when nobody needs it.
        ({"has": 15, "load": None}, Decision(15, Reason.NOT_MEASURED)),
        ({"has": 15, "load": 14_000}, Decision(15, Reason.ENOUGH, 20)),
        ({"has": 15, "load": 4_000}, Decision(8, Reason.FEWER_EXPECTED)),
        ({"lately": 2_500.0}, Decision(4, Reason.COOLING_DOWN)),
        ({"lately": 2_000.0}, Decision(3, Reason.FEWER_EXPECTED)),
        ({"has": 10}, Decision(5, Reason.FEWER_EXPECTED)),
    ],
)
def test_orders_strain_and_approvals(facts: dict[str, Any], decision: Decision) -> None:
    assert rules.decide(_reading(**facts), Policy(), now=NOON) == decision


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        ({"load": NAN}, Decision(4, Reason.NOT_MEASURED)),
        ({"load": -5.0}, Decision(4, Reason.NOT_MEASURED)),
        ({"expected": NAN, "load": 5000.0}, Decision(7, Reason.DEMAND)),
        ({"expected": INF}, Decision(4, Reason.NOT_MEASURED)),
        ({"upper": INF, "load": 5000.0}, Decision(7, Reason.DEMAND)),
        ({"pressure": NAN, "load": 5000.0}, Decision(7, Reason.DEMAND)),
        ({"changed_at": NOON + timedelta(days=1)}, Decision(4, Reason.COOLING_DOWN)),
        ({"changed_at": NOON + timedelta(days=1), "load": 5000.0}, Decision(7, Reason.DEMAND)),
    ],
)
def test_figures_that_are_none_and_a_clock_that_went_back_take_nothing_away(
    facts: dict[str, Any], decision: Decision
) -> None:
    assert rules.decide(_reading(**facts), Policy(), now=NOON) == decision


def test_measurements_that_fail_now_and_then_make_nothing_swing() -> None:
    has, seen = 7, []
    for minute in range(60):
        load = None if minute % 2 else 5000.0
        has = rules.decide(
            _reading(has=has, load=load, expected=None), Policy(), now=NOON + timedelta(minutes=minute)
        ).to
        seen.append(has)
    assert set(seen) == {7}


@pytest.mark.parametrize(
    "wrong",
    [
        {"cache_mb_min": 2048},
        {"instances_ceiling": 9},
        {"users_per_cache_mb": 0},
        {"cpu": 0},
        {"attempts_max": 0},
        {"new_regions": "maybe"},
    ],
)
def test_settings_that_can_not_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be|above 0|or more"):
        Policy(**wrong)


def _forecast(region: str, p50: list[float], p99: list[float]) -> Forecast:
    return Forecast(region, NOON, timedelta(minutes=5), {"p50": np.array(p50), "p99": np.array(p99)})


def test_a_day_is_full_for_a_region_or_for_the_plan_of_all() -> None:
    low = [100.0] * 6
    east, west = _forecast("east", low, [*low[:5], 8000.0]), _forecast("west", low, low)
    [instances] = full_days([east, west], Policy())
    assert (instances.region, instances.limit, instances.needed, instances.max) == (
        "east",
        Limit.INSTANCES,
        12,
        10,
    )
    assert instances.at == NOON + timedelta(minutes=25)
    limits = {
        one.limit: one
        for one in full_days([east, west], Policy(plan_connections=8000, plan_joins_per_second=8))
    }
    # 200 in the middle, and 7,900 above it in 1 of 100 cases.
    assert (limits[Limit.CONNECTIONS].region, limits[Limit.CONNECTIONS].needed) == (EVERYWHERE, 8100)
    # 7,900 more come within a quarter of an hour.
    assert limits[Limit.JOINS_PER_SECOND].needed == 9
    assert full_days([west], Policy(plan_connections=101)) == []
    assert full_days([], Policy()) == []
