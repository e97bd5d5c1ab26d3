"""The pure parts of our Redis functions, in LuaJIT without a server.

They say the same as what Python says.
"""

import math
import re
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lupa.luajit21 import LuaRuntime

from tests import ROOT
from workers.connections import keys
from workers.connections.rules import admission
from workers.connections.rules.admission import UserType
from workers.weddings.rules.calendar import ID

#: What a test may look at; other functions need a server.
_PURE = ("crc32", "bad_shard", "is_id", "bad_id", "bad_channel", "allowed", "readable", "score")


RUNTIME = LuaRuntime()


def _lua() -> dict[str, Any]:
    """Return the pure functions of the connections library, from the files that Valkey loads."""
    files = [
        ROOT / "workers/foundation/common.lua",
        *sorted((ROOT / "workers/connections/functions").glob("[12]_*.lua")),
    ]
    text = "\n".join(path.read_text().removeprefix("#!lua name=wedops_connections\n") for path in files)
    RUNTIME.execute("redis, cjson, cmsgpack = {}, {null = {}}, {}")
    found = RUNTIME.execute(f"{text}\nreturn {{{', '.join(f'{name} = {name}' for name in _PURE)}}}")
    return {name: found[name] for name in _PURE}


LUA = _lua()
#: Bytes that a key, an id or a channel may have, and some that none may.
_TEXTS = st.text(st.sampled_from("abzAZ09._@- :{}|;,é\n"), max_size=140)


@given(st.text(max_size=60))
def test_a_checksum_is_the_one_of_zlib(text: str) -> None:
    assert LUA["crc32"](text.encode()) == crc32(text.encode())


@given(_TEXTS)
def test_an_id_is_one_for_the_registry_when_it_is_one_for_the_calendar(text: str) -> None:
    assert LUA["is_id"](text.encode()) == bool(ID.fullmatch(text))
    assert (LUA["bad_id"]("x", text.encode()) is None) == bool(ID.fullmatch(text))


@given(st.from_regex(ID, fullmatch=True), st.integers(1, 200))
def test_a_tenant_belongs_to_the_shard_that_every_client_finds(tenant: str, shards: int) -> None:
    own = keys.shard(tenant, shards)
    assert LUA["bad_shard"](own.encode(), shards, tenant.encode()) is None
    other = keys.numbered((int(re.findall(r"\d+", own)[0]) + 1) % shards)
    assert (LUA["bad_shard"](other.encode(), shards, tenant.encode()) is None) == (other == own)


@pytest.mark.parametrize("key", ["wedops:{64}", "wedops:{-1}", "wedops:{1}x", "{1}", "", None])
def test_a_key_that_is_no_shard_is_named(key: str | None) -> None:
    assert "the key must be wedops:{N}" in LUA["bad_shard"](key, 64, None)


@given(st.sampled_from(UserType), st.integers(1, 5_000), st.booleans())
def test_a_class_may_fill_of_a_node_what_the_rules_say(
    kind: UserType, capacity: int, emergency: bool
) -> None:
    policy = admission.Policy()
    limits = admission.routing_limits(policy, ["everywhere"] * emergency)
    shares = admission.shares(policy, emergency=emergency)
    published = RUNTIME.table_from({"pool": limits["pool"], "shares": RUNTIME.table_from(limits["shares"])})
    own = LUA["allowed"](published, capacity, str(kind))
    assert own == math.floor(min(policy.pool_limit, capacity) * shares[kind])


def test_records_of_each_form_are_read_and_damaged_ones_are_not() -> None:
    one = b"c1,g,n1,us-northeast,w-1,,timeline:w-1;guests:w-1,2.0.0,mobile,1795953377,0,41.5,0,12,1,3400,1"
    for text in (one, b"2:" + one):
        [record] = LUA["readable"](text).values()
        assert [record[1], record[5], record[7]] == ["c1", "w-1", "timeline:w-1;guests:w-1"]
        assert record[12] == "41.5"
    assert len(list(LUA["readable"](b"2:" + one + b"|" + one).values())) == 2
    for text in (b"3:" + one, b"c1,g,n1", b"x:" + one):
        assert LUA["readable"](text) is None


@pytest.mark.parametrize(
    ("channel", "is_one"),
    [
        ("wedding:w-1", True), ("ops", True), ("wedding:w-1:s1", True), (":w-1", False), ("wedding:",
        False), ("a::b", False),
        ("a b", False), ("x" * 321, False), ("", False),
    ],
)  # fmt: skip
def test_a_channel_is_a_kind_and_ids(channel: str, is_one: bool) -> None:
    assert (LUA["bad_channel"](channel.encode()) is None) == is_one


@given(
    st.floats(0, 5_000),
    st.floats(0, 1_000),
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.integers(0, 50),
)
def test_a_score_lies_between_its_bounds_and_falls_with_what_is_worse(
    rtt: float, jitter: float, messages: int, errors: int, reconnects: int
) -> None:
    def score(*facts: float) -> float:
        record = RUNTIME.table_from(
            dict(zip(range(12, 18), (facts[0], facts[1], facts[2], facts[3], 0, facts[4]), strict=True))
        )
        return float(LUA["score"](record))

    found = score(rtt, jitter, messages, errors, reconnects)
    assert 0 <= found <= 100
    assert score(rtt + 50, jitter, messages, errors, reconnects) <= found
    assert score(rtt, jitter, messages, errors + 1, reconnects) <= found + 1e-9
    assert score(rtt, jitter, messages, errors, reconnects + 1) <= found
