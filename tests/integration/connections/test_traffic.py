"""What gateways observe beside single connections, from the registry to what people see."""

from datetime import timedelta

import pytest

from tests.made import NOON, connection
from workers.connections.store import registry as store
from workers.connections.store import upkeep as ends
from workers.connections.store.registry import ConnectionRefused, Measurement
from workers.connections.usecases import upkeep
from workers.foundation import clock, redis
from workers.foundation.moments import Moment
from workers.operations import connections

pytestmark = pytest.mark.usefixtures("world")

REGION = "us-northeast"


def _snapshot(minute: int) -> Moment:
    """Take a snapshot a minute after the one before; the world's hours go by as in a demo."""
    server = redis.connections()
    for shard in store.shards():
        if drained := server.get(f"{shard}:drained"):
            server.set(f"{shard}:drained", int(drained) - 60_000)
    now = Moment(NOON + timedelta(hours=2 * minute))
    upkeep.snapshot(now=now, machine=clock.machine_now())
    return now


def _region(now: Moment) -> connections.RegionTraffic:
    [region] = connections.overview(now=now, machine=clock.machine_now()).regions
    return region


def test_what_gateways_observe_is_shown_a_second_of_the_machine_and_with_percentiles() -> None:
    assert store.open(connection("c1", channels=("timeline:w-1", "guests:w-1"))).ok
    assert store.open(connection("c2", user_id="u2")).ok
    assert _region(_snapshot(0)).opened_per_second is None, "nobody knows since when"
    assert store.open(connection("c3", user_id="u1", channels=("timeline:w-1",)), reuse=True).reused
    connects = [("connect", 40, 95), ("connect", 900, 5)]
    store.observe("n1", REGION, [*connects, ("batches", None, 60), ("failed_batches", None, 6)])
    store.observe("n2", REGION, [("delivery", 20, 60), ("delivery", 180.5, 60)])
    region = _region(_snapshot(1))
    assert (region.connections, region.subscriptions, region.channels_each) == (2, 2, 1.0)
    assert (region.reuse_rate, region.opened_per_second) == (1.0, 0.0)
    assert region.connect_p95_ms == 50.0
    assert (region.delivery_p50_ms, 100 < (region.delivery_p95_ms or 0) <= 200) == (25.0, True)
    assert region.delivered_per_second == pytest.approx(2.0, rel=0.1)
    assert region.updates_each_per_second == pytest.approx(1.0, rel=0.1)
    assert region.batches_per_second == pytest.approx(1.0, rel=0.1)
    assert region.failed_batches_per_second == pytest.approx(0.1, rel=0.1)
    region = _region(_snapshot(2))
    assert (region.delivered_per_second, region.delivery_p95_ms, region.reuse_rate) == (None, None, None)
    assert region.messages_per_second == 0.0


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


def test_a_snapshot_that_failed_is_of_the_time_until_it_was_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.open(connection("c1")).ok
    _snapshot(0)
    store.observe("n1", REGION, [("batches", None, 600)])

    def _broken(*_arguments: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("workers.snapshots.store.append", _broken)
        with pytest.raises(OSError, match="full"):
            _snapshot(1)
    store.observe("n1", REGION, [("batches", None, 1_200)])
    assert _region(_snapshot(2)).batches_per_second == pytest.approx(10.0, rel=0.1)
    # Drained at the next one: since the failed one, two minutes ago.
    assert _region(_snapshot(3)).batches_per_second == pytest.approx(10.0, rel=0.1)


def test_records_that_say_too_much_or_nothing_leave_the_others_shown() -> None:
    server = redis.connections()
    for user in ("u1", "u2", "u3"):
        assert store.open(connection(f"c-{user}", user_id=user)).ok
        store.measure([Measurement(f"w-1/{user}/c-{user}", 20, 10, 0, 2**36)])
    [key] = [f"{shard}:t:w-1" for shard in store.shards() if server.exists(f"{shard}:t:w-1")]
    whole = {user: text.split(",") for user, text in server.hgetall(key).items()}
    whole["u1"][13] = whole["u1"][15] = str(10**14 - 2)
    later, damaged = ",".join(whole["u2"]).replace("2:", "3:", 1), [*whole["u3"][:9], "", *whole["u3"][10:]]
    server.hset(key, mapping={"u1": ",".join(whole["u1"]), "u2": later, "u3": ",".join(damaged)})
    store.measure([Measurement("w-1/u1/c-u1", 20, 2**36, 0, 2**36)])
    assert _heaviest() == [("u1", 10**14 - 1)]
    server.hset(key, "u2", later.replace("3:", "2:", 1))
    assert ("u2", 10) in _heaviest(), "it was kept for who can read it"


def _heaviest() -> list[tuple[str, int]]:
    return [(one.user_id, one.messages) for one in upkeep.heaviest(machine=clock.machine_now())]


def test_the_heaviest_users_are_known_by_all_their_connections_together() -> None:
    for number in range(40):
        assert store.open(connection(f"c{number}", user_id=f"u{number}")).ok
    assert store.open(connection("d39", user_id="u39")).ok
    store.measure(Measurement(f"w-1/u{number}/c{number}", 20, number, 0, 10 * number) for number in range(40))
    store.measure([Measurement("w-1/u39/d39", 20, 38, 0, 1)])
    first, second, *_ = found = upkeep.heaviest(machine=clock.machine_now())
    assert len(found) == 10
    assert (first.user_id, first.tenant, first.connections, first.messages) == ("u39", "w-1", 2, 77)
    assert (first.bytes, second.user_id, second.messages) == (391, "u38", 38)
    assert 0 < first.rate <= 77


@pytest.mark.parametrize("ending", ["close", "sweep", "evict"])
def test_who_left_makes_room_for_who_is_light(ending: str) -> None:
    for number in range(20):
        assert store.open(connection(f"c{number}", user_id=f"u{number}")).ok
    store.measure(Measurement(f"w-1/u{number}/c{number}", 20, 1_000, 0, 0) for number in range(20))
    for number in range(20):
        ref = f"w-1/u{number}/c{number}"
        store.close(ref) if ending == "close" else store.lost(ref)
    evicted = ending != "evict" or ends.evict("n1") == 20
    assert evicted
    ends.sweep()
    assert store.open(connection("new", user_id="light", node="n2")).ok
    store.measure([Measurement("w-1/light/new", 20, 3, 0, 0)])
    assert _heaviest() == [("light", 3)]
    assert store.open(connection("new", user_id="light", node="n3")).ok
    store.measure([Measurement("w-1/light/new", 20, 1, 0, 0)])
    assert _heaviest() == [("light", 1)], "it was opened again, on another node"
