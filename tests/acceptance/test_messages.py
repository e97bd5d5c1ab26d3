"""Ten thousand envelopes that somebody may have meant for messages, before a real worker."""

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.acceptance.conftest import Query, System
from tests.made import eventually
from workers import client
from workers.foundation import redis

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(400)]

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MOMENT = JUNK | st.sampled_from(
    ["", "now", "2026-11-29T12:00:00", "2099-01-01T00:00:00Z", "0001-01-01", "2026-11-29T12:00+99:00"]
)
LIMITS = JUNK | st.sampled_from(["5", ["5", None], [None, "x"], [0, 0], [-1, 1], [1e300, 1], [5]])
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "task": st.sampled_from(["emergencies.open", "no.such", ""]) | JUNK,
    "id": st.just("i") | JUNK,
    "eta": MOMENT,
    "expires": MOMENT,
    "timelimit": LIMITS,
} | dict.fromkeys(
    (
        "retries",
        "group",
        "root_id",
        "parent_id",
        "job",
        "enqueued_at",
        "compression",
        "stamps",
        "shadow",
        "ignore_result",
        "origin",
    ),
    JUNK,
)
PROPERTIES = {
    "delivery_tag": "t",
    "delivery_info": {"exchange": "", "routing_key": "emergency"},
    "body_encoding": "base64",
}
#: Most options are missing, some are sound and some are not.
SOME = st.fixed_dictionaries({}, optional=OPTIONS)
ARGS, KWARGS = st.just([]) | JUNK, st.just({"kind": "flood"}) | JUNK


def _packed(body: object) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


SECOND = st.builds(
    lambda headers, args, kwargs: {"headers": headers, "body": _packed([args, kwargs, {}])},
    SOME,
    ARGS,
    KWARGS,
)
FIRST = st.builds(
    lambda options, args, kwargs: {
        "headers": {},
        "body": _packed(options | {"args": args, "kwargs": kwargs}),
    },
    SOME,
    ARGS,
    KWARGS,
)
OTHER = st.builds(lambda body, headers: {"headers": headers, "body": body}, JUNK | st.just("!!"), JUNK)


def test_ten_thousand_envelopes_end_no_worker_and_take_no_slot(system: System, rows: Query) -> None:
    before = system.pid("-Q emergency")

    @settings(
        max_examples=10_000,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        envelope=SECOND | FIRST | OTHER,
        kind=st.just("application/json") | JUNK,
        encoding=st.just("utf-8") | JUNK,
    )
    def _push(envelope: dict[str, Any], kind: object, encoding: object) -> None:
        whole = envelope | {"content-type": kind, "content-encoding": encoding, "properties": PROPERTIES}
        redis.registry().lpush("emergency", json.dumps(whole))

    _push()
    assert eventually(lambda: redis.registry().llen("emergency") == 0, within=200)
    client.open_emergency("venue", "w-1", request_key="after-ten-thousand")
    assert eventually(
        lambda: rows("SELECT 1 FROM requests WHERE key = 'after-ten-thousand' AND state = 'done'"), within=30
    )
    assert system.pid("-Q emergency") == before
