"""Nodes report, are routed to, fall silent and come back."""

from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from tests.made import NOON, connection, wedding
from workers.balancing import keys, rules, store
from workers.balancing import usecases as actions
from workers.balancing.store import Report
from workers.connections.keys import ROUTING_LIMITS
from workers.connections.rules.admission import Policy as Limits
from workers.connections.rules.admission import UserType
from workers.connections.store import modes, upkeep
from workers.connections.store import registry as connections
from workers.foundation import clock, database, redis
from workers.weddings.formats.rows import Reading
from workers.weddings.usecases import importing as weddings

pytestmark = pytest.mark.usefixtures("world")


MILLISECOND = timedelta(milliseconds=1)


def _up(name: str, region: str = "us-northeast", **facts: object) -> None:
    given = {"capacity": 1000, "connections": 0} | facts
    store.report(Report(name, region, f"ws://{name}", **given))  # type: ignore[arg-type]


def _silence(*names: str) -> None:
    seconds, _ = redis.server_time(redis.connections())
    redis.connections().zadd(keys.SEEN, dict.fromkeys(names, (seconds - 6) * 1000))


def _calendar(*ids: str) -> None:
    soon = clock.now() + timedelta(hours=1)
    weddings.take(Reading([wedding(id, starts_at=soon) for id in ids]), now=clock.now())


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"node": "n{1}"}, "node must be 1-128 letters"),
        ({"region": ""}, "region must be 1-128 letters"),
        ({"capacity": -1}, "capacity must be a number from 0"),
        ({"cpu": 7}, "cpu must be a number from 0 to 1"),
        ({"connections": "many"}, "connections must be a number"),
        ({"url": "x" * 257}, "url must be a text of 256"),
        ({"url": "ws://caf\u00e9"}, "url must be a text of 256"),
        ({"draining": "false"}, "draining must be true or false"),
    ],
)
def test_a_bad_report_is_refused_by_name_and_changes_nothing(facts: dict[str, object], says: str) -> None:
    report = {"node": "n1", "region": "east", "url": "ws://n1", "capacity": 10, "connections": 0} | facts
    with pytest.raises(store.ReportRefused, match=says):
        store.report(Report(**report))  # type: ignore[arg-type]
    assert store.nodes() == []


def test_what_a_report_has_beside_its_fields_is_not_kept() -> None:
    text = (
        '{"node":"n1","region":"east","url":"","capacity":16,"connections":2,'
        '"name":"mine","silent":7,"x":NaN,"y":0x10}'
    )
    assert redis.connections().fcall("wedops_report", 1, keys.NODES, text.encode() + b" ") == 1
    [node] = store.nodes()
    assert (node.name, node.capacity, node.connections, node.cpu) == ("n1", 16, 2, 0.0)


@pytest.mark.parametrize("pace", ["0", "-5", "nan", "1e-9", "inf", "fast"])
def test_a_pace_that_is_none_is_refused(pace: str) -> None:
    _up("n1")
    with pytest.raises(ResponseError, match="REFUSED joins a second must be"):
        redis.connections().fcall("wedops_route", 1, keys.NODES, "w-1", "guest", "east", "", pace)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    capacity=st.integers(1, 2_000),
    pool=st.sampled_from([50, 1_000, 5_000]),
    shares=st.tuples(*[st.floats(0.05, 1.0)] * 3).map(sorted),
    emergency=st.booleans(),
    data=st.data(),
)
def test_whoever_is_routed_to_a_node_is_admitted_there_and_nobody_else(
    capacity: int, pool: int, shares: list[float], emergency: bool, data: st.DataObject
) -> None:
    own = Limits(
        pool_limit=pool,
        guests_share_emergency=shares[0],
        guests_share=shares[1],
        vendors_share=shares[2],
        user_every=MILLISECOND,
    )
    user_type = data.draw(st.sampled_from(list(UserType)))
    # Around each edge, and anywhere.
    edges = [int(min(capacity, pool) * share) for share in (*shares, 1.0)]
    held = data.draw(
        st.sampled_from([edge + by for edge in edges for by in (-1, 0, 1)]) | st.integers(0, capacity)
    )
    held = min(capacity, max(0, held))
    with patch.object(connections, "policy", lambda: own):
        modes.begin("everywhere", "test", "", 60) if emergency else modes.end("everywhere")
        connections.publish_limits()
        _up("n1", capacity=capacity, connections=held)
        try:
            routed = store.route("w-1", user_type, "us-northeast").node == "n1"
        except store.NoNode:
            routed = False
        one = connection(f"c{held}", user_id=f"u-{uuid4().hex}", user_type=user_type)
        answer = connections.open(one, held=held, capacity=capacity)
        assert (answer.ok, answer.reason) == ((True, "") if routed else (False, "pool_full"))
        connections.close(one.ref)


def test_a_policy_of_before_still_keeps_the_couples_places() -> None:
    """A worker of the version before writes it until it is gone."""
    before = '{"user": 5, "supplier": 200, "pool": 1000, "guests": 0.5, "vendors": 0.97}'
    connections.each(connections.shards(), "wedops_limit", len(connections.shards()), before)
    held = {"held": 60, "capacity": 100}
    assert connections.open(connection("c1"), **held).reason == "pool_full"  # type: ignore[arg-type]
    assert connections.open(connection("c2", user_id="u2", user_type="vendor"), **held).ok  # type: ignore[arg-type]


def test_a_node_is_filled_again_also_after_a_failure_half_way(monkeypatch: pytest.MonkeyPatch) -> None:
    _up("n1")
    actions.stop("n1")
    with monkeypatch.context() as broken:
        broken.setattr(
            connections, "publish_limits", lambda *_: (_ for _ in ()).throw(ConnectionError("away"))
        )
        with pytest.raises(ConnectionError):
            actions.undrain("n1")
    with pytest.raises(store.NoNode):
        store.route("w-1", "guest", "us-northeast")
    actions.undrain("n1")
    assert store.route("w-1", "guest", "us-northeast").node == "n1"
    assert connections.open(connection("c1", node="n1"), held=0, capacity=1000).ok


def test_before_limits_are_published_nobody_is_sent_where_nobody_is_let_in() -> None:
    _up("n1")
    redis.connections().delete(ROUTING_LIMITS)
    with pytest.raises(store.NoNode):
        store.route("w-1", "guest", "us-northeast")


def test_a_node_is_known_as_it_reported() -> None:
    _up("n1", connections=7, cpu=0.5, memory=0.25, network=1e6, draining=True)
    [node] = store.nodes()
    assert node.silent < timedelta(seconds=2)
    assert (node.name, node.connections, node.cpu, node.memory, node.network, node.draining) == (
        "n1",
        7,
        0.5,
        0.25,
        1e6,
        True,
    )


def test_a_weddings_people_go_where_it_was_placed() -> None:
    for name in ("n1", "n2", "n3"):
        _up(name)
    _calendar("w-1", "w-2", "w-3", "w-4")
    assert actions.place(now=clock.now()) == 4
    assert actions.place(now=clock.now()) == 0
    for id, [node] in store.placements().items():
        for user_type in ("guest", "vendor", "couple"):
            found = store.route(id, user_type, "us-northeast")
            assert (found.node, found.url) == (node, f"ws://{node}")
            assert bool(found.backup) == (user_type == "couple")
            assert found.backup != found.node


def test_a_wedding_nobody_placed_keeps_the_node_its_first_guest_got() -> None:
    _up("n1", connections=500)
    _up("n2", connections=100)
    assert store.route("w-9", "guest", "us-northeast").node == "n2"
    _up("n2", connections=890)
    assert store.route("w-9", "guest", "us-northeast").node == "n2"
    assert store.route("w-9", "guest", "us-northeast", avoid="n2").node == "n1"
    assert store.route("w-8", "guest", "us-northeast").node == "n1"


def test_who_finds_the_first_node_full_gets_the_next() -> None:
    _up("n1", connections=1000)
    _up("n2")
    redis.connections().hset(keys.PLACEMENTS, "w-1", "n1 n2")
    assert store.route("w-1", "guest", "us-northeast").node == "n2"


def test_those_whom_a_node_fails_go_to_the_same_next_one() -> None:
    for name, load in (("n1", 0), ("n2", 10), ("n3", 20)):
        _up(name, connections=load)
    assert store.route("w-1", "guest", "us-northeast").node == "n1"
    assert store.route("w-1", "guest", "us-northeast", avoid="n1").node == "n2"
    _up("n2", connections=500)
    assert store.route("w-1", "guest", "us-northeast", avoid="n1").node == "n2"
    assert store.route("w-1", "guest", "us-northeast").node == "n1"
    _silence("n1")
    assert store.route("w-1", "guest", "us-northeast").node == "n2"


def test_without_a_node_in_the_region_another_region_serves_and_without_any_it_is_said() -> None:
    with pytest.raises(store.NoNode, match="no realtime node takes"):
        store.route("w-1", "guest", "us-west")
    _up("n1", "us-south", connections=890)
    assert store.route("w-1", "guest", "us-west").node == "n1"
    _up("n2", "us-west", connections=895)
    assert store.route("w-2", "guest", "us-west").node == "n2"


def test_the_nearest_region_that_has_a_node_serves_one_that_has_none() -> None:
    _up("n1", "us-northeast", connections=10)
    _up("n2", "us-south", connections=500)
    store.publish_nearest({"us-west": ["us-central", "us-south"]})
    assert store.route("w-1", "guest", "us-west").node == "n2"
    store.publish_nearest({})
    assert store.route("w-2", "guest", "us-west").node == "n1"


def test_the_node_that_failed_is_nobodys_backup() -> None:
    _up("n1")
    _up("n2", connections=5)
    route = store.route("w-1", "couple", "us-northeast", avoid="n1")
    assert (route.node, route.backup) == ("n2", "")
    _up("n3", connections=9)
    assert store.route("w-1", "couple", "us-northeast", avoid="n1").backup == "n3"


def test_a_drained_node_is_emptied_until_it_leaves_or_is_wanted_again() -> None:
    _up("n1")
    _up("n2")
    _calendar("w-1", "w-2", "w-3")
    actions.place(now=clock.now())
    connections.open(connection())
    assert actions.drain("n1", end=True, now=clock.now()) == 1
    assert set(map(tuple, store.placements().values())) == {("n2",)}
    assert connections.open(connection("c2")).reason == "node_draining"
    _up("n1")
    _up("n2")
    assert {store.route(f"w-{number}", "guest", "us-northeast").node for number in range(9)} == {"n2"}
    assert [node.draining for node in store.nodes()] == [True, False]
    actions.undrain("n1")
    assert not any(node.draining for node in store.nodes())
    assert connections.open(connection("c2")).ok
    actions.stop("n1")
    store.leave("n1")
    actions.watch_nodes(now=clock.now())
    assert store.drained() == set()
    _up("n1")
    assert connections.open(connection("c3")).ok
    with pytest.raises(store.NodeUnknown, match="wedops nodes"):
        actions.drain("nobody", end=False, now=clock.now())


def test_a_call_on_another_key_is_told_so() -> None:
    for named in ((), ("wedops:{7}",)):
        with pytest.raises(ResponseError, match=r"REFUSED the key must be wedops:\{nodes\}"):
            redis.connections().fcall("wedops_leave", len(named), *named, "n1")


def test_guests_are_paced_and_a_couple_is_not() -> None:
    _up("n1")
    begun = clock.stopwatch()
    waits = [store.route("w-1", "guest", "us-northeast", joins_per_second=10).wait_ms for _ in range(40)]
    took = (clock.stopwatch() - begun) * 1000
    assert waits[:10] == [0] * 10
    # 29 of them come after the first ten and the one that is next; what passed meanwhile they have waited
    # already.
    assert 2_900 - took - 200 <= max(waits) <= 3_000
    assert store.route("w-1", "couple", "us-northeast", joins_per_second=10).wait_ms == 0


def test_a_silent_node_is_out_its_people_have_places_elsewhere_and_it_may_come_back() -> None:
    for name in ("n1", "n2"):
        _up(name)
    _calendar("w-1", "w-2", "w-3", "w-4", "w-5", "w-6")
    actions.place(now=clock.now())
    before = store.placements()
    for id, [node] in before.items():
        connections.open(connection(f"c-{id}", user_id=f"u-{id}", wedding_id=id, node=node))
    _silence("n1")
    _up("n2")
    assert all(store.route(id, "guest", "us-northeast").node == "n2" for id in before)
    actions.watch_nodes(now=clock.now())
    after = store.placements()
    assert set(map(tuple, after.values())) == {("n2",)}
    assert connections.total() == sum(node == "n2" for [node] in before.values())
    assert store.out() == {"n1"}
    assert upkeep.audit().drifts == []
    _up("n1")
    actions.watch_nodes(now=clock.now())
    assert store.out() == set()
    assert connections.open(connection("again", user_id="u", node="n1")).ok
    assert store.nodes()[0].silent < rules.SILENT_AFTER == timedelta(seconds=5)


def test_a_node_that_is_gone_for_an_hour_is_forgotten() -> None:
    _up("n1")
    seconds, _ = redis.server_time(redis.connections())
    redis.connections().zadd(keys.SEEN, {"n1": (seconds - 3_700) * 1000})
    store.mark(gone=["n1"])
    actions.watch_nodes(now=clock.now())
    assert (store.nodes(), store.out()) == ([], set())


def test_a_node_that_leaves_alarms_nobody() -> None:
    _up("n1")
    assert store.leave("n1")
    assert not store.leave("n1")
    actions.watch_nodes(now=clock.now())
    assert (store.nodes(), store.out()) == ([], set())


@pytest.mark.parametrize("failing", ["place", "_end", "_mark_out"])
def test_a_node_that_comes_back_after_a_failure_takes_people_again(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _up("n1")
    _up("n2")
    _silence("n1")

    def _fail(*_arguments: object, **_options: object) -> None:
        raise ConnectionError("away")

    with monkeypatch.context() as broken:
        broken.setattr(actions, failing, _fail)
        with pytest.raises(ConnectionError):
            actions.watch_nodes(now=NOON)
    _up("n1")
    actions.watch_nodes(now=NOON)
    assert (store.out(), store.cut_off()) == (set(), set())
    for name in ("c1", "c2"):
        assert connections.open(connection(name, node="n1"), held=0, capacity=1000).ok
    assert connections.total() == 2, "neither is on a node that is out"


def test_a_node_whose_people_cannot_be_ended_keeps_no_other_from_going_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("n1", "n2", "n3"):
        _up(name)
    _silence("n1", "n2")
    evict = upkeep.evict

    def _fail(name: str) -> int:
        if name == "n1":
            raise ResponseError("too many results")
        return evict(name)

    with monkeypatch.context() as broken:
        broken.setattr(upkeep, "evict", _fail)
        actions.watch_nodes(now=NOON)
        assert store.out() == {"n2"}
    actions.watch_nodes(now=NOON)
    assert store.out() == {"n1", "n2"}


def test_a_wedding_of_thousands_and_small_ones_leave_a_dead_node_and_others_stay() -> None:
    """More than a call reads of one tenant at once, and records that only look like ones of the node."""
    for number in range(700):
        connections.open(connection(f"a{number}", user_id=f"u{number}", node="n1"), held=0, capacity=10_000)
        one = connection(
            f"b{number}", user_id=f"v{number}", node="n11", region="n1", wedding_id=f"w-{number % 50}"
        )
        connections.open(one, held=0, capacity=10_000)
    connections.open(connection("c", user_id="u1", node="n2"), held=0, capacity=10_000)
    assert upkeep.evict("n1") == 700
    assert connections.total() == 701
    assert upkeep.evict("n1") == 0
    assert upkeep.audit(enough=60.0).drifts == []


def test_a_node_that_died_while_the_calendar_was_away_is_taken_out_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _up("n1")
    connections.open(connection(node="n1"))
    _silence("n1")

    def _unavailable() -> object:
        raise database.DatabaseUnavailable(cause="gone")

    monkeypatch.setattr(actions.database, "transaction", _unavailable)
    actions.watch_nodes(now=clock.now())
    assert (store.out(), connections.total()) == ({"n1"}, 0)


def test_who_asks_again_and_again_keeps_nobody_else_waiting() -> None:
    _up("n1")
    pushy = [
        store.route("w-1", "guest", "us-northeast", joins_per_second=10, user_id="pushy").wait_ms
        for _ in range(60)
    ]
    assert pushy[-1] == 30_000 or pushy[-1] > 5_000
    assert store.route("w-1", "guest", "us-northeast", joins_per_second=10, user_id="calm").wait_ms < 2_000
