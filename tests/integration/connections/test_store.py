"""The registry: counts never drift, bad input never gets in, a sweep ends what is stale and nothing else."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from tests.made import NOON, connection
from workers.connections import rules, store
from workers.foundation import redis

pytestmark = pytest.mark.usefixtures("world")


def _counts() -> Counter[str]:
    total: Counter[str] = Counter()
    for number in range(64):
        counts = redis.registry().hgetall(f"wedops:{{{number}}}:counts")
        total.update({name: int(count) for name, count in counts.items()})
    return total


def test_a_connection_is_counted_by_all_that_it_is() -> None:
    assert store.register(connection(supplier_id="s1"))
    assert _counts() == {
        name: 1
        for name in (
            "node:n1",
            "region:us-northeast",
            "type:guest",
            "wedding:w-1",
            "supplier:s1",
            "user:u1",
            "rt:us-northeast|guest",
        )
    }
    assert store.close("s1", "c1")
    assert _counts() == {}
    assert not store.close("s1", "c1")


def test_registering_again_moves_it_and_counts_it_once() -> None:
    store.register(connection())
    assert not store.register(connection(node="n2"))
    counts = _counts()
    assert (counts["node:n1"], counts["node:n2"], counts["user:u1"]) == (0, 1, 1)


def test_a_heartbeat_of_a_stranger_changes_nothing() -> None:
    assert not store.heartbeat("w-1", "nobody", rtt_ms=10, messages=5)
    assert store.total() == 0
    assert all(not share.flow for share in store.snapshot())


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"user_id": ""}, "user_id is missing; send it"),
        ({"user_type": "boss"}, "user_type must be one of couple, planner, vendor, guest"),
        ({"region": "a b"}, "region must be 1-128 letters"),
        ({"node": "n{1}"}, "node must be 1-128 letters"),
        ({"wedding_id": "w\n1"}, "wedding_id must be 1-128 letters"),
        ({"id": "x" * 129}, "id must be 1-128 letters"),
    ],
)
def test_a_bad_field_is_refused_by_name_and_nothing_is_written(facts: dict[str, str], says: str) -> None:
    with pytest.raises(store.ConnectionRefused, match=says):
        store.register(connection(**{"id": "c9"} | facts))
    assert redis.registry().dbsize() == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"id": 5}', '{"id": null}'])
def test_what_is_no_connection_is_refused(text: str) -> None:
    with pytest.raises(ResponseError, match="REFUSED"):
        redis.registry().fcall("wedops_register", 1, rules.shard("w-1", 64), text)


@pytest.mark.parametrize("rtt", ["nan", "inf", "-5", "soon", ""])
def test_a_round_trip_that_is_none_is_not_measured(rtt: str) -> None:
    store.register(connection())
    redis.registry().fcall("wedops_heartbeat", 1, rules.shard("w-1", 64), "c1", rtt, "x", "-1", "1e300")
    [east] = rules.snapshots(store.snapshot(), [], at=NOON)
    assert (east.p95_ms, east.messages, east.errors, east.bytes) == (None, 0, 0, 0)


def test_a_lost_connection_is_swept_and_its_gateway_told_unless_it_beats_again() -> None:
    store.register(connection("c1"))
    store.register(connection("c2"))
    with redis.registry().pubsub(ignore_subscribe_messages=True) as gateway:
        gateway.subscribe("wedops:close:n1")
        gateway.get_message(timeout=1)
        assert store.lost("w-1", "c1")
        assert store.lost("w-1", "c2")
        assert store.heartbeat("w-1", "c2")
        assert store.sweep() == 1
        told = [message["data"] for _ in range(3) if (message := gateway.get_message(timeout=0.2))]
    assert told == ["c1"]
    [east] = rules.snapshots(store.snapshot(), [], at=NOON)
    assert (east.connections, east.swept) == (1, 1)


def test_the_silent_are_counted_before_they_are_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = rules.Policy(silent_after=timedelta(milliseconds=1))
    monkeypatch.setattr(store, "policy", lambda: policy)
    store.register(connection())
    redis.registry().zadd(f"{rules.shard('w-1', 64)}:active", {"c1": 1})
    [east] = rules.snapshots(store.snapshot(), [], at=NOON)
    assert (east.connections, east.silent) == (1, 1)


def test_a_sweep_takes_more_than_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "policy", lambda: rules.Policy(sweep_batch=10))
    for number in range(25):
        store.register(connection(f"c{number}"))
        store.lost("w-1", f"c{number}")
    assert store.sweep() == 25
    assert store.total() == 0


_IDS = st.integers(0, 5).map(lambda number: f"c{number}")
_STEPS = st.lists(
    st.tuples(st.sampled_from(["open", "beat", "close", "lose", "sweep"]), _IDS, st.sampled_from(["couple", "guest"])),
    max_size=60,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
def test_counts_never_drift_from_what_is_open(steps: list[tuple[str, str, str]]) -> None:
    redis.registry().flushdb()
    alive: dict[str, str] = {}
    lost: set[str] = set()
    for step, id, user_type in steps:
        if step == "open":
            store.register(connection(id, user_type=user_type))
            alive[id] = user_type
            lost.discard(id)
        elif step == "beat":
            assert store.heartbeat("w-1", id, rtt_ms=5) == (id in alive)
            lost.discard(id)
        elif step == "close":
            assert store.close("w-1", id) == (id in alive)
            alive.pop(id, None)
            lost.discard(id)
        elif step == "lose" and id in alive:
            store.lost("w-1", id)
            lost.add(id)
        elif step == "sweep":
            assert store.sweep() == len(lost)
            alive = {id: user_type for id, user_type in alive.items() if id not in lost}
            lost.clear()
    counts = _counts()
    assert {name: counts[f"type:{name}"] for name in set(alive.values())} == Counter(alive.values())
    assert counts["region:us-northeast"] == store.total() == len(alive)
    assert min(counts.values(), default=1) > 0
