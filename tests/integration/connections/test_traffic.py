"""What gateways observe beside single connections, from the registry to what people see."""

from datetime import timedelta

import pytest

from tests.made import NOON, connection
from workers.connections.store import registry as store
from workers.connections.store.registry import ConnectionRefused, Measurement
from workers.connections.usecases import upkeep
from workers.foundation import clock, redis
from workers.foundation.moments import MachineMoment, Moment
from workers.operations import connections

pytestmark = pytest.mark.usefixtures("world")

REGION = "us-northeast"


def _snapshot(minute: int) -> Moment:
    now = Moment(NOON + timedelta(minutes=minute))
    upkeep.snapshot(now=now, machine=MachineMoment(clock.machine_now()))
    return now


def test_what_gateways_observe_is_shown_a_second_and_with_percentiles() -> None:
    assert store.open(connection("c1", channels=("timeline:w-1", "guests:w-1"))).ok
    assert store.open(connection("c2", user_id="u2")).ok
    _snapshot(0)
    assert store.open(connection("c3", user_id="u1", channels=("timeline:w-1",)), reuse=True).reused
    store.observe(
        "n1",
        REGION,
        [("connect", 40, 95), ("connect", 900, 5), ("batches", None, 60), ("failed_batches", None, 6)],
    )
    store.observe("n2", REGION, [("delivery", 20, 60), ("delivery", 180.5, 60)])
    now = _snapshot(1)
    [region] = connections.traffic(now=now).regions
    assert (region["connections"], region["subscriptions"], region["channels_each"]) == (2, 2, 1.0)
    assert (region["reuse_rate"], region["opened_per_second"]) == (1.0, 0.0)
    assert region["connect_p95_ms"] == 50.0
    assert (region["delivery_p50_ms"], 100 < region["delivery_p95_ms"] <= 200) == (25.0, True)
    assert (region["delivered_per_second"], region["updates_each_per_second"]) == (2.0, 1.0)
    assert (region["batches_per_second"], region["failed_batches_per_second"]) == (1.0, 0.1)
    now = _snapshot(2)
    [region] = connections.traffic(now=now).regions
    assert (region["delivered_per_second"], region["delivery_p95_ms"], region["reuse_rate"]) == (
        0.0,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("node", "region", "observations", "named"),
    [
        ("n1", REGION, [("uploads", 5, 1)], "what was observed"),
        ("n1", REGION, [("connect", "soon", 1)], "connect"),
        ("n1", REGION, [("connect", -1, 1)], "connect"),
        ("n1", REGION, [("connect", None, 1)], "connect"),
        ("n1", REGION, [("delivery", float("nan"), 1)], "delivery"),
        ("n1", REGION, [("batches", None, 1.5)], "batches"),
        ("n1", REGION, [("batches", None, -1)], "batches"),
        ("n1", REGION, [("batches", None, 2**40)], "batches"),
        ("n1", "", [("batches", None, 1)], "region"),
        ("n 1", REGION, [("batches", None, 1)], "node"),
        ("n1", REGION, [("batches", None, 1)] * 700, "600 observations"),
    ],
)
def test_what_is_no_observation_is_refused_by_name_and_leaves_nothing(
    node: str, region: str, observations: list[tuple[str, float | None, int]], named: str
) -> None:
    with pytest.raises(ConnectionRefused, match=named):
        store.observe(node, region, [("delivery", 5, 1), *observations])
    assert not any(redis.connections().exists(f"{shard}:flow") for shard in store.shards())


def test_the_heaviest_users_are_known_and_who_leaves_is_not() -> None:
    for number in range(40):
        assert store.open(connection(f"c{number}", user_id=f"u{number}")).ok
    # A second connection of a user who is heavy by both together.
    assert store.open(connection("d39", user_id="u39")).ok
    store.measure(Measurement(f"w-1/u{number}/c{number}", 20, number, 0, 10 * number) for number in range(40))
    store.measure([Measurement("w-1/u39/d39", 20, 38, 0, 1)])
    first, second, *_ = found = upkeep.heaviest(now=Moment(clock.now()))
    assert len(found) == 10
    assert (first.user_id, first.tenant, first.connections, first.messages, first.bytes) == (
        "u39",
        "w-1",
        2,
        77,
        391,
    )
    assert (second.user_id, second.messages) == ("u38", 38)
    store.close("w-1/u38/c38")
    store.close("w-1/u39/d39")
    assert [(one.user_id, one.messages) for one in upkeep.heaviest(now=Moment(clock.now()))][:2] == [
        ("u39", 39),
        ("u37", 37),
    ]
    key = next(key for shard in store.shards() if redis.connections().exists(key := f"{shard}:heavy"))
    assert redis.connections().zcard(key) == 18, "20 at most, and none that ended"
