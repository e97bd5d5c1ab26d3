"""The edges of connections' rules: bounds, published limits in full, service levels, whole plans."""

from datetime import timedelta
from typing import Any

import pytest

from tests.made import NOON, wedding
from workers.connections.rules import admission as rules
from workers.connections.rules import levels, peak, report
from workers.connections.rules.levels import ServiceLevel
from workers.connections.rules.report import Share
from workers.weddings.rules.calendar import Phase

MS = timedelta(milliseconds=1)


def test_admission_tells_the_registry_all_of_this() -> None:
    shares = {"couple": 1.0, "planner": 1.0, "vendor": 0.97, "guest": 0.9}
    assert rules.admission(rules.Policy(), ["wedding:w-1"]) == {
        "pool": 1000,
        "shares": shares,
        "emergencies": {"wedding:w-1": True},
        "guests_emergency": 0.5,
        "user": 5,
        "supplier": 200,
        "healthy_ms": 60_000,
        "poor_below": 60,
        "hopeless_below": 20,
        "user_every": 2000,
        "user_burst": 20,
        "supplier_every": 10,
        "supplier_burst": 500,
        "address_every": 5,
        "address_burst": 2000,
    }
    assert rules.routing_limits(rules.Policy(), ["everywhere"])["shares"] == shares | {"guest": 0.5}


@pytest.mark.parametrize(
    "fine",
    [
        {"shards": 1},
        {"shards": 16_384},
        {"sweep_batch": 1},
        {"sweep_batch": 2_000},
        {"user_limit": 1},
        {"vendors_share": 1},
        {"silent_after": timedelta(minutes=5)},
        {"guests_share": 0.97},
        {"guests_share_emergency": 0.9},
        {"user_every": MS},
    ],
)
def test_the_ends_are_allowed(fine: Any) -> None:
    rules.Policy(**fine)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shards": 16_385},
        {"sweep_batch": 2_001},
        {"guests_share_emergency": 0.0},
        {"vendors_share": 1.1},
        {"supplier_every": MS / 2},
        {"address_every": MS / 2},
        {"supplier_limit": 0},
        {"pool_limit": 0},
        {"user_burst": 0},
        {"supplier_burst": 0},
        {"address_burst": 0},
    ],
)
def test_beyond_is_not(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        rules.Policy(**wrong)


@pytest.mark.parametrize(
    ("channel", "wedding_id", "own"),
    [
        ("timeline:w-1", "w-1", True),
        ("timeline:w-1:a", "w-1", True),
        ("timeline:w-2:w-1", "w-1", False),
        ("timeline", "w-1", False),
        ("ops:alerts", "ops", True),
        ("ops:w-1", "w-1", False),
        ("timeline:ops", "w-1", False),
    ],
)
def test_a_channel_names_its_wedding(channel: Any, wedding_id: Any, own: Any) -> None:
    assert rules.names_wedding(channel, wedding_id) is own


@pytest.mark.parametrize(
    ("name", "busy", "emergency", "level"),
    [
        ("couple|fixed|ceremony", True, True, ServiceLevel(8, 10, False, 0)),
        ("planner|mobile|setup", True, True, ServiceLevel(8, 10, True, 0)),
        ("vendor|fixed|setup", False, False, ServiceLevel(4, 15, False, 0)),
        ("vendor|fixed|setup", True, False, ServiceLevel(4, 15, False, 50)),
        ("vendor|fixed|setup", False, True, ServiceLevel(4, 15, False, 50)),
        ("vendor|fixed|ceremony", True, True, ServiceLevel(8, 15, False, 0)),
        ("vendor|mobile|reception", True, True, ServiceLevel(8, 15, True, 0)),
        ("guest|fixed|setup", False, False, ServiceLevel(2, 20, False, 50)),
        ("guest|mobile|setup", False, False, ServiceLevel(2, 25, True, 50)),
        ("guest|fixed|setup", True, False, ServiceLevel(1, 25, True, 250)),
        ("guest|mobile|setup", True, True, ServiceLevel(1, 35, True, 1000)),
        ("guest|fixed|setup+weak", False, False, ServiceLevel(2, 20, True, 250)),
        ("guest|fixed|setup+weak+emergency", True, False, ServiceLevel(1, 30, True, 1000)),
        ("couple|fixed|ceremony+weak", True, False, ServiceLevel(8, 6, True, 0, other_network=True)),
        ("vendor|mobile|reception+weak", True, True, ServiceLevel(8, 10, True, 0, other_network=True)),
    ],
)
def test_each_class_gets_its_level(name: Any, busy: Any, emergency: Any, level: Any) -> None:
    assert ServiceLevel(**levels.service_levels(busy=busy, emergency=emergency)[name]) == level


def test_levels_are_calm_unless_said() -> None:
    assert levels.service_levels(busy=True) == levels.service_levels(busy=True, emergency=False)
    assert levels.name("guest", None, Phase.SETUP) == "guest|fixed|setup"


def test_a_plan_says_all_of_itself() -> None:
    assert peak.peak_plan(1, timedelta(hours=1), capacity=0).steps[0].amount == 1
    plan = peak.peak_plan(8_000, timedelta(hours=6), capacity=2_000)
    assert plan.expected == 8_000
    assert [one.detail for one in plan.steps] == [
        "8 pool(s) of at most 1000 connections",
        "2280 connections, 30 % of what is new: their weddings' data",
        "every 30 s or sooner while it lasts",
    ]
    none = peak.PlannedStep(
        peak.Step.NO_SCALING_NEEDED, 0, timedelta(0), "2000 connections can be served, 1200 are needed"
    )
    assert peak.peak_plan(1_000, timedelta(hours=1), capacity=2_000) == peak.PeakPlan(
        1_000, 1_200, 2, (none,)
    )


def test_the_largest_weddings_are_warmed_until_they_are_enough() -> None:
    plan = peak.peak_plan(1_000, timedelta(hours=1), capacity=200)  # 300 of 1,000 new ones
    assert sum(one.amount for one in plan.steps if one.step is peak.Step.PRE_WARM) == 300
    some = [wedding(f"w-{n}", guest_count=count) for n, count in enumerate((50, 200, 100, 100, 100))]
    assert peak.warmed(plan, some) == ["w-1", "w-2"]
    many = [wedding(f"w-{n:03}", guest_count=0) for n in range(600)]
    assert peak.warmed(plan, many) == [f"w-{n:03}" for n in range(500)]
    assert peak.warmed(peak.peak_plan(1_000, timedelta(hours=1), capacity=2_000), some) == []


def test_a_snapshot_says_all_of_itself() -> None:
    share = Share({"rt:quiet|guest": 2, "subs:quiet": 7}, {"east|rtt:100": 4, "east|bytes": 2**63}, {})
    east, quiet = report.snapshots(report.add_up([share]), [], at=NOON)
    assert (quiet.region, quiet.connections, quiet.subscriptions, quiet.at) == ("quiet", 2, 7, NOON)
    assert (east.region, east.p50_ms, east.bytes) == ("east", 75.0, 2**62)
    assert report.snapshots(report.add_up([share]), ["north"], at=NOON, but={"quiet", "north"}) == [east]


def test_a_reason_for_refusal_has_no_colon_of_its_region() -> None:
    assert report.refusals(report.add_up([Share({}, {"a:b|refused:full": 1}, {})])) == {"full": 1}


def test_a_supplier_subscribes_to_what_its_work_needs() -> None:
    assert rules.PROFILES["florist"] == (
        "wedding",
        "timeline",
        "venue",
        "deliveries",
        "person",
        "urgent",
    )
