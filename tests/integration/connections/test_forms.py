"""Records of every form that was ever written are read; those of a later one are left alone."""

from typing import Any

import pytest

from tests.made import connection, record
from workers.connections import keys
from workers.connections.store import registry as store
from workers.connections.store import upkeep
from workers.connections.store.registry import ConnectionRefused, Measurement
from workers.foundation import redis

pytestmark = pytest.mark.usefixtures("world")

#: What a version wrote for two connections of one user, byte for byte. A new form adds its own here, and
#: takes none away.
SAMPLES = {
    1: "c1,g,n1,us-northeast,w-1,,timeline:w-1;guests:w-1,2.0.0,mobile,1795953377,0,41.5,0,12,1,3400,1"
    "|c2,g,n1,us-northeast,w-1,,,,,1795953377,0,0,0,0,0,0,0",
    2: "2:c1,g,n1,us-northeast,w-1,,timeline:w-1;guests:w-1,2.0.0,mobile,1795953377,0,41.5,0,12,1,3400,1"
    "|c2,g,n1,us-northeast,w-1,,,,,1795953377,0,0,0,0,0,0,0",
}
LATER = ["3:c1,g,n1,us-northeast,w-1,,,,,1795953377,0,0,0,0,0,0,0,more", "c1,g,n1", "2:c1", "x:c1,g"]
SHARD = keys.shard("w-1", 64)
KEY, REFS = f"{SHARD}:t:w-1", ["w-1/u1/c1", "w-1/u1/c2"]


def _written(text: str) -> None:
    """Have a version's records in the registry, as that version left it."""
    server = redis.connections()
    server.hset(KEY, "u1", text)
    server.sadd(f"{SHARD}:tenants", "w-1")
    seconds, _ = redis.server_time(server)
    server.zadd(f"{SHARD}:active", dict.fromkeys(REFS, seconds * 1000))
    counts = {"node:n1": 2, "rt:us-northeast|guest": 2, "wt:w-1|guest": 2, "subs:us-northeast": 2, "moves": 2}
    server.hset(f"{SHARD}:counts", mapping=counts)


def _text() -> str:
    found: str = redis.connections().hget(KEY, "u1")
    return found


@pytest.mark.parametrize("form", SAMPLES)
def test_records_of_each_form_are_read_and_written_anew(form: int) -> None:
    _written(SAMPLES[form])
    [first, second] = store.connections_of("w-1", "u1")
    assert (first["ref"], first["channels"], first["device"], first["rtt_ms"]) == (
        REFS[0], ["timeline:w-1", "guests:w-1"], "mobile", 41.5,
    )  # fmt: skip
    assert (first["messages"], first["errors"], first["bytes"], first["reconnects"]) == (12, 1, 3400, 1)
    assert second["ref"] == REFS[1]
    assert upkeep.presence("w-1").users == {"u1": "guest"}
    assert store.measure([Measurement(REFS[0], 40, 1, 0, 10)]) == []
    assert _text().startswith("2:c1,g,")
    assert record(REFS[0])["messages"] == 13  # type: ignore[index]
    assert upkeep.audit().drifts == []


@pytest.mark.parametrize("form", SAMPLES)
def test_a_running_gateway_goes_on_with_them(form: int) -> None:
    _written(SAMPLES[form])
    assert store.heartbeat(REFS) == []
    assert store.subscribe(REFS[1], ["photos:w-1"]) == {"photos": {"ok": ["photos:w-1"]}}
    assert store.unsubscribe(REFS[0], ["guests:w-1"]) == 1
    assert store.open(connection("c3")).ok
    assert store.close(REFS[0])
    assert upkeep.evict("n1") == 2
    assert (store.total(), upkeep.audit().drifts) == (0, [])


@pytest.mark.parametrize("form", SAMPLES)
def test_a_sweep_ends_one_and_both(form: int) -> None:
    one = SAMPLES[form].partition("|")[0]
    _written(one)
    redis.connections().zadd(f"{SHARD}:active", {REFS[0]: 0})
    redis.connections().zrem(f"{SHARD}:active", REFS[1])
    assert upkeep.sweep() == 1
    assert _text() is None
    _written(SAMPLES[form])
    redis.connections().zadd(f"{SHARD}:active", dict.fromkeys(REFS, 0))
    assert upkeep.sweep() == 2
    assert _text() is None


@pytest.mark.parametrize("text", LATER)
@pytest.mark.parametrize(
    "call",
    [
        lambda: store.open(connection("c9")),
        lambda: store.subscribe(REFS[0], ["photos:w-1"]),
        lambda: store.close(REFS[0]),
        lambda: store.connections_of("w-1", "u1"),
    ],
    ids=["open", "subscribe", "close", "show"],
)
def test_what_a_later_version_wrote_is_refused_and_kept(text: str, call: Any) -> None:
    _written(text)
    redis.connections().zadd(f"{SHARD}:active", dict.fromkeys(REFS, 1))
    with pytest.raises(ConnectionRefused, match="unreadable"):
        call()
    assert _text() == text
    assert store.total() == 2


@pytest.mark.parametrize("text", LATER)
def test_what_cannot_be_read_holds_up_nobody_else(text: str) -> None:
    _written(text)
    other = connection("c1", user_id="u2")
    assert store.open(other).ok
    redis.connections().zadd(f"{SHARD}:active", dict.fromkeys([*REFS, other.ref], 1))
    assert [share.silent.get("us-northeast", 0) for share in upkeep.snapshot() if share.silent] == [1]
    assert store.measure([Measurement(REFS[0], 40), Measurement(other.ref, 41, 3)]) == [], "both are alive"
    assert record(other.ref)["messages"] == 3  # type: ignore[index]
    assert set(upkeep.presence("w-1").users) == {"u2"}
    assert upkeep.audit().uncounted == [SHARD]
    assert _text() == text
    redis.connections().zadd(f"{SHARD}:active", dict.fromkeys([*REFS, other.ref], 1))
    assert upkeep.evict("n1") == 1
    assert store.open(other).ok
    redis.connections().zadd(f"{SHARD}:active", dict.fromkeys([*REFS, other.ref], 1))
    assert upkeep.sweep() == 3
    assert _text() == text, "kept for who can read it"
    upkeep.forget_counters()
    assert sum(share.counters.get("|refused:unreadable", 0) for share in upkeep.snapshot()) > 0
