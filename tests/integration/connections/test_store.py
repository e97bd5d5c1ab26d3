"""The registry: admission and its limits, bad input, sweeps that end what is stale and nothing else."""

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from redis.exceptions import ResponseError

from tests.made import NOON, connection, record, wedding
from workers.connections import keys, tasks
from workers.connections.rules import admission as rules
from workers.connections.rules import report
from workers.connections.store import modes, quality, upkeep
from workers.connections.store import registry as store
from workers.connections.store.registry import Measurement
from workers.connections.usecases import service as published
from workers.connections.usecases import suppliers
from workers.foundation import clock, database, redis
from workers.snapshots import store as snapshots
from workers.weddings.formats import csv
from workers.weddings.rules.calendar import ID, NAME
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")

EAST = "us-northeast"


def counts() -> Counter[str]:
    total: Counter[str] = Counter()
    for shard in store.shards():
        total.update(
            {name: int(count) for name, count in redis.connections().hgetall(f"{shard}:counts").items()}
        )
    del total["moves"]
    return total


def _totals() -> report.Totals:
    return report.add_up(upkeep.snapshot())


def _with(monkeypatch: pytest.MonkeyPatch, **fields: object) -> None:
    policy = rules.Policy(**fields)  # type: ignore[arg-type]
    monkeypatch.setattr(store, "policy", lambda: policy)
    monkeypatch.setattr(upkeep, "policy", lambda: policy)
    store.publish_limits()


def test_a_connection_is_counted_by_all_that_it_is() -> None:
    one = connection(supplier_id="s1")
    assert store.open(one).ref == "s1/u1/c1"
    assert counts() == {"node:n1": 1, "supplier:s1": 1, f"rt:{EAST}|guest": 1, "wt:w-1|guest": 1}
    assert store.total() == 1
    assert store.close(one.ref)
    assert counts() == {}
    assert not store.close(one.ref)


def test_opening_again_moves_it_and_counts_it_once() -> None:
    store.open(connection())
    assert store.open(connection(node="n2")).ok
    assert (counts()["node:n1"], counts()["node:n2"], store.total()) == (0, 1, 1)
    assert report.accepted(_totals()) == {"opened": 1, "reused": 0}


def test_what_is_known_of_a_connection_can_be_read() -> None:
    one = connection(device="mobile", api_version="2", channels=("timeline:w-1",), reconnects=3)
    store.open(one)
    store.measure([Measurement(one.ref, 80.0, 4, 1, 900)])
    store.measure([Measurement(one.ref, 160.0, 1, 0, 100)])
    known = record(one.ref)
    assert known
    assert known.pop("opened") > 1_700_000_000
    assert known.pop("last_activity_ms") > 1_700_000_000_000
    # RFC 6298: 7/8 of 80 and 1/8 of 160; a quarter of the difference of 80.
    assert (known.pop("rtt_ms"), known.pop("jitter_ms"), round(known.pop("score"), 1)) == (90.0, 20.0, 51.0)
    said = {
        name: value
        for name, value in vars(one).items()
        if name not in {"user_id", "supplier_type", "channels"}
    }
    assert known == said | {
        "ref": one.ref,
        "supplier_id": "",
        "channels": ["timeline:w-1"],
        "messages": 5,
        "errors": 1,
        "bytes": 1000,
    }
    assert record("w-1/u1/c9") is None


@pytest.mark.parametrize(
    ("rtt", "errors", "reconnects", "score"),
    [
        (0.0, 0, 0, 100.0),
        (100.0, 0, 0, 98.7),
        (400.0, 0, 0, 92.2),
        (2000.0, 0, 0, 0.0),
        (50.0, 5, 0, 81.3),
        (50.0, 0, 20, 77.9),
    ],
)
def test_the_quality_score_is_the_e_models(rtt: float, errors: int, reconnects: int, score: float) -> None:
    """R = 93.2 - 0.024 d - 0.11 (d - 177.3)+ - 30 ln(1 + 15 e) of d = rtt / 2, less 2 a reconnect."""
    one = connection(reconnects=reconnects)
    store.open(one)
    store.measure([Measurement(one.ref, rtt, 100 - errors, errors)])
    assert record(one.ref)["score"] == pytest.approx(score, abs=0.06)  # type: ignore[index]


def test_a_heartbeat_of_a_stranger_changes_nothing_and_is_named() -> None:
    store.open(connection())
    assert store.heartbeat(["w-1/u1/c1", "w-1/u1/c9", "nonsense"]) == [
        "w-1/u1/c9",
        "nonsense",
    ] or store.heartbeat(["w-1/u1/c1", "w-1/u1/c9", "nonsense"]) == ["nonsense", "w-1/u1/c9"]
    assert store.measure([Measurement("w-1/u1/c9", 10, 5), Measurement("x/y", 10)]) == ["w-1/u1/c9", "x/y"]
    assert store.total() == 1
    assert _totals().counters[f"{EAST}|messages"] == 0


def test_the_sixth_connection_of_a_user_is_refused_until_the_limit_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert all(store.open(connection(f"c{number}")).ok for number in range(5))
    refused = store.open(connection("c5"))
    assert (refused.ok, refused.reason) == (False, "user_limit")
    assert 30_000 <= refused.retry_after_ms <= 45_000
    assert report.refusals(_totals()) == {"user_limit": 1}
    _with(monkeypatch, user_limit=6)
    assert store.open(connection("c5")).ok


def test_a_supplier_has_two_hundred_places_or_its_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    def vendor(number: int) -> store.Connection:
        return connection(f"c{number}", user_id=f"u{number}", user_type="vendor", supplier_id="s1")

    assert all(store.open(vendor(number)).ok for number in range(200))
    assert store.open(vendor(200)).reason == "supplier_limit"
    suppliers.limit_supplier("s1", 201, now=clock.machine_now())
    assert store.open(vendor(200)).ok
    assert store.open(vendor(201)).reason == "supplier_limit"
    planner = replace(vendor(201), user_type="planner")
    assert store.open(planner).ok, "vendors never take a planner's place"
    store.close(planner.ref)
    # Kept: a registry that lost it is told again.
    redis.connections().delete(f"{keys.shard('s1', 64)}:limits")
    published.publish_levels(now=clock.now())
    assert store.open(vendor(201)).reason == "supplier_limit"
    suppliers.limit_supplier("s1", 0, now=clock.machine_now())
    assert store.open(vendor(201)).reason == "supplier_limit"
    assert store.open(replace(vendor(201), supplier_id="s2")).ok


def test_who_lost_a_connection_gets_its_place_back_at_once() -> None:
    assert all(store.open(connection(f"c{number}")).ok for number in range(5))
    store.lost("w-1/u1/c3")
    assert store.open(connection("c5")).ok
    assert store.open(connection("c6")).reason == "user_limit"
    assert counts()["node:n1"] == 5
    assert upkeep.audit().drifts == []


@pytest.mark.parametrize("user_type", ["planner", "couple"])
def test_a_suppliers_vendors_do_not_use_up_its_planners_turn(
    user_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with(monkeypatch, supplier_burst=1, supplier_every=timedelta(minutes=1))
    vendor = connection(supplier_id="s1", user_type="vendor")
    assert store.open(vendor).ok
    assert store.open(replace(vendor, id="c2")).reason == "supplier_rate"
    assert store.open(replace(vendor, id="c3", user_id="u3", user_type=user_type)).ok


@pytest.mark.parametrize(("supplier", "limit"), [("s1", 199), ("s1", 100_001), ("s 1", 300), ("", 300)])
def test_a_limit_that_is_none_is_refused(supplier: str, limit: int) -> None:
    with pytest.raises(suppliers.LimitRefused, match="must be"):
        suppliers.limit_supplier(supplier, limit, now=clock.machine_now())


@pytest.mark.parametrize("function", ["wedops_open", "wedops_heartbeat", "wedops_sweep", "wedops_show"])
def test_a_call_without_a_key_is_told_so(function: str) -> None:
    with pytest.raises(ResponseError, match="REFUSED the shard is missing"):
        redis.connections().fcall(function, 0, "{}")


@pytest.mark.parametrize(
    ("user_type", "places"), [("guest", 900), ("vendor", 970), ("planner", 1000), ("couple", 1000)]
)
def test_guests_never_take_the_last_places_of_a_pool(user_type: str, places: int) -> None:
    assert store.open(connection(user_type=user_type), held=places - 1).ok
    refused = store.open(connection("c2", user_id="u2", user_type=user_type), held=places)
    assert refused.reason == "pool_full"


def test_a_small_node_says_its_own_capacity_and_in_an_emergency_guests_give_way_first() -> None:
    assert store.open(connection(), held=80, capacity=100).ok
    facts = {"owner": "ada", "reason": "storm", "lasts": timedelta(hours=1)}
    published.begin_emergency_mode("everywhere", **facts, now=clock.now())
    assert store.open(connection("c2", user_id="u2"), held=80, capacity=100).reason == "pool_full"
    assert store.open(connection("c3", user_id="u3", user_type="couple"), held=80, capacity=100).ok
    assert published.end_emergency_mode("everywhere", by="ada", now=clock.now())
    assert store.open(connection("c2", user_id="u2"), held=80, capacity=100).ok


@pytest.mark.parametrize(
    ("scope", "refused"),
    [("wedding:w-1", {"u1"}), ("region:us-northeast", {"u1", "u2"}), ("everywhere", {"u1", "u2", "u3"})],
)
def test_guests_give_way_where_it_was_said_and_others_do_not(scope: str, refused: set[str]) -> None:
    published.begin_emergency_mode(
        scope, owner="ada", reason="storm", lasts=timedelta(hours=1), now=clock.now()
    )
    people = {"u1": {}, "u2": {"wedding_id": "w-2"}, "u3": {"wedding_id": "w-2", "region": "us-west"}}
    for user, facts in people.items():
        answer = store.open(connection(user, user_id=user, **facts), held=80, capacity=100)
        assert answer.reason == ("pool_full" if user in refused else ""), user
        vendor = connection(f"v-{user}", user_id=f"v-{user}", user_type="vendor", supplier_id="s1", **facts)
        assert store.open(vendor, held=80, capacity=100).ok


def test_an_emergency_mode_ends_by_itself_and_what_the_version_before_switched_on_holds() -> None:
    modes.begin("wedding:w-1", "ada", "storm", -1)
    assert modes.active() == {}
    assert redis.connections().hlen("wedops:emergency_modes") == 0
    redis.connections().set("wedops:emergency_mode", "ada since noon")
    assert [(one.scope, one.owner) for one in modes.active().values()] == [("everywhere", "ada")]
    assert published.end_emergency_mode("everywhere", by="bea", now=clock.now())
    assert not published.end_emergency_mode("everywhere", by="bea", now=clock.now())
    assert modes.active() == {}


def test_the_phase_of_a_wedding_in_emergency_mode_says_so() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding(id, starts_at=clock.now()) for id in ("w-1", "w-2")], at=NOON)
    facts = {"owner": "ada", "reason": "storm", "lasts": timedelta(hours=1)}
    published.begin_emergency_mode("wedding:w-1", **facts, now=clock.now())
    phases = redis.connections().hgetall("wedops:service:phases")
    assert phases == {"w-1": "ceremony+emergency", "w-2": "ceremony"}
    levels = redis.connections().hgetall("wedops:service:levels")
    own, other = (orjson.loads(levels[f"guest|fixed|{phases[id]}"])["batch_ms"] for id in ("w-1", "w-2"))
    assert (own, other) == (1000, 50)


@pytest.mark.parametrize(
    ("fields", "facts", "address", "reason"),
    [
        ({"user_burst": 2, "user_every": timedelta(minutes=1)}, {}, "", "user_rate"),
        (
            {"supplier_burst": 2, "supplier_every": timedelta(minutes=1)},
            {"supplier_id": "s1"},
            "",
            "supplier_rate",
        ),
        ({"address_burst": 2, "address_every": timedelta(minutes=1)}, {}, "a1", "address_rate"),
    ],
)
def test_who_knocks_too_fast_waits(
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, object],
    facts: dict[str, str],
    address: str,
    reason: str,
) -> None:
    _with(monkeypatch, **fields)
    answers = [store.open(connection("c1", **facts), address=address) for _ in range(3)]
    assert [answer.ok for answer in answers] == [True, True, False]
    assert answers[-1].reason == reason
    assert 59_000 <= answers[-1].retry_after_ms <= 90_000


def test_the_jitter_differs_between_callers() -> None:
    store.open(connection("c0"))
    waits = {store.open(connection(f"c{number}"), held=2000).retry_after_ms for number in range(2, 12)}
    assert len(waits) > 5


def test_a_second_request_for_the_same_kind_of_channel_gets_the_open_connection() -> None:
    store.open(connection(channels=("timeline:w-1", "photos:w-1")))
    again = store.open(
        connection("c2", node="n2", channels=("timeline:w-1:urgent", "guests:w-1")), reuse=True
    )
    assert (again.ok, again.reused, again.ref, again.node) == (True, True, "w-1/u1/c1", "n1")
    assert again.kinds["guests"]["ok"] == ["guests:w-1"]
    assert record("w-1/u1/c1")["channels"] == [
        "timeline:w-1",
        "photos:w-1",
        "timeline:w-1:urgent",
        "guests:w-1",
    ]  # type: ignore[index]
    assert not store.open(connection("c3", channels=("floor:w-1",)), reuse=True).reused
    assert report.accepted(_totals()) == {"opened": 2, "reused": 1}


def test_a_connection_that_is_silent_bad_or_of_another_wedding_is_not_reused() -> None:
    asked = connection("c9", channels=("timeline:w-1",), supplier_id="s1")

    def reused(channels: tuple[str, ...] = ("timeline:w-1",), **facts: object) -> bool:
        answer = store.open(replace(asked, channels=channels, **facts), reuse=True)
        if not answer.reused:
            store.close(answer.ref)
        return answer.reused

    one = replace(asked, id="c1")
    store.open(one)
    assert reused()
    assert not reused(wedding_id="w-2")
    assert not reused(user_type="vendor")
    redis.connections().zadd(f"{keys.shard('s1', 64)}:active", {one.ref: 1})
    assert not reused()
    assert store.heartbeat([one.ref]) == []
    assert reused()
    store.measure([Measurement(one.ref, 3000.0, 1)])
    assert not reused()


def test_the_node_of_a_reused_connection_is_told_which_channels_came_to_it() -> None:
    store.open(connection(channels=("timeline:w-1",)))
    with redis.connections().pubsub(ignore_subscribe_messages=True) as gateway:
        gateway.subscribe(keys.REUSED + "n1")
        gateway.get_message(timeout=1)
        store.open(connection("c2", node="n2", channels=("timeline:w-1:urgent",)), reuse=True)
        told = [message["data"] for _ in range(3) if (message := gateway.get_message(timeout=0.2))]
    assert told == ["c1 timeline:w-1:urgent"]


def test_a_gateway_that_opens_again_what_it_holds_is_no_newcomer() -> None:
    assert store.open(connection(), held=2000, capacity=1000).reason == "pool_full"
    assert store.open(connection(), held=2000, capacity=1000, resume=True).ok
    assert store.open(connection("c1"), held=2000, capacity=1000).ok


def test_many_channels_are_answered_one_by_one_and_by_kind() -> None:
    one = connection(user_type="vendor", supplier_id="s1", supplier_type="florist")
    assert store.open(replace(one, channels=("venue:w-1", "photos:w-1"))).kinds == {
        "venue": {"ok": ["venue:w-1"]},
        "photos": {"refused": [["photos:w-1", "not_in_profile"]]},
    }
    answer = store.subscribe(
        one.ref, ["timeline:w-1", "venue:w-1", "photos:w-1", "no good", ":w-1"], supplier_type="florist"
    )
    assert answer == {
        "timeline": {"ok": ["timeline:w-1"]},
        "venue": {"ok": ["venue:w-1"]},
        "photos": {"refused": [["photos:w-1", "not_in_profile"]]},
        "?": {"refused": [["no good", "invalid"], [":w-1", "invalid"]]},
    }
    full = store.subscribe(one.ref, [f"venue:w-1:{number}" for number in range(99)])
    assert full
    assert len(full["venue"]["ok"]) == 98
    assert full["venue"]["refused"] == [["venue:w-1:98", "too_many"]]
    assert store.unsubscribe(one.ref, ["venue:w-1", "timeline:w-1", "unknown:w-1"]) == 2
    assert store.subscribe("s1/u1/gone", ["venue:w-1"]) is None


def test_a_couple_has_a_backup_beside_its_five_and_a_guest_has_none() -> None:
    couple = connection(user_type="couple")
    assert all(store.open(replace(couple, id=f"c{number}")).ok for number in range(5))
    assert store.open(replace(couple, id="b1", node="n2", backup=True)).ok
    assert store.open(replace(couple, id="b2", node="n3", backup=True)).reason == "user_limit"
    assert store.open(replace(couple, id="b3", node="n1", backup=True)).reason == "backup_same_node"
    assert store.open(connection("g1", user_id="u2", backup=True)).reason == "backup_not_allowed"


def test_a_node_that_is_out_keeps_nobodys_place() -> None:
    for number in range(5):
        store.open(connection(f"c{number}"))
    store.publish_limits({"out:n1": "1"})
    assert store.open(connection("c9", node="n2")).ok
    assert counts() == {"node:n2": 1, f"rt:{EAST}|guest": 1, "wt:w-1|guest": 1}


def test_evicting_a_node_ends_its_connections_and_no_others() -> None:
    for number in range(500):
        store.open(
            connection(
                f"c{number}", user_id=f"u{number}", wedding_id=f"w-{number % 40}", node=f"n{number % 2}"
            )
        )
    assert upkeep.evict("n1") == 250
    assert upkeep.evict("n1") == 0
    assert (counts()["node:n0"], counts()["node:n1"], store.total()) == (250, 0, 250)


BAD = [
    ({"user_id": ""}, "user_id is missing; send it"),
    ({"user_type": "boss"}, "user_type must be one of couple, planner, vendor, guest"),
    ({"region": "a b"}, "region must be 1-128 letters"),
    ({"node": "n{1}"}, "node must be 1-128 letters"),
    ({"wedding_id": "w\n1"}, "wedding_id must be 1-128 letters"),
    ({"user_id": "u/1"}, "user_id must be 1-128 letters"),
    ({"id": "x" * 129}, "id must be 1-128 letters"),
    ({"user_id": "anna@example.org"}, "user_id must be an id, and nobody's mail address"),
    ({"channels": (":w-1",)}, "channels must be a kind and ids"),
    ({"device": "watch"}, "device must be mobile or fixed"),
    ({"backup": "yes"}, "backup must be true or false"),
    ({"reconnects": -1}, "reconnects must be a whole number"),
    ({"channels": ("timeline:w-1", "a{b}")}, "channels must be a kind and ids"),
    ({"channels": tuple(f"t:{n}" for n in range(101))}, "channels must be 100 at most"),
]


@pytest.mark.parametrize(("facts", "says"), BAD)
def test_a_bad_field_is_refused_by_name_and_counted_and_nothing_else_is_written(
    facts: dict[str, str], says: str
) -> None:
    before = set(redis.connections().scan_iter())
    with pytest.raises(store.ConnectionRefused, match=says):
        store.open(connection(**{"id": "c9"} | facts))
    assert {key.rpartition(":")[2] for key in set(redis.connections().scan_iter()) - before} == {"flow"}
    assert report.refusals(_totals()) == {"invalid": 1}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"id": 5}', '{"id": null}', '{"channels": {"a": 1}}', "null"]
)
def test_what_is_no_connection_is_refused(text: str) -> None:
    with pytest.raises(ResponseError, match="REFUSED"):
        redis.connections().fcall("wedops_open", 1, keys.shard("w-1", 64), text)


@pytest.mark.parametrize(
    "shard", ["wedops:{64}", "wedops:{-1}", "wedops:1", "{1}", "wedops:{1}", "wedops:{1e1}", ""]
)
def test_a_key_that_is_not_the_tenants_shard_is_refused(shard: str) -> None:
    before = redis.connections().dbsize()
    text = orjson.dumps(vars(connection()) | {"channels": []})
    with pytest.raises(ResponseError, match="REFUSED the key must be"):
        redis.connections().fcall("wedops_open", 1, shard, text)
    assert redis.connections().dbsize() == before


@pytest.mark.parametrize("call", ["heartbeat", "measure", "subscribe", "unsubscribe", "lost", "close"])
def test_a_known_ref_in_a_wrong_shard_is_refused_with_the_right_one_and_not_taken_for_ended(
    call: str,
) -> None:
    store.open(connection())
    words = {"measure": ["w-1/u1/c1", "5", "0", "0", "0"]}.get(call, ["w-1/u1/c1"])
    right = keys.shard("w-1", 64)
    with pytest.raises(ResponseError, match=re.escape(f"REFUSED the key must be {right} for tenant w-1")):
        redis.connections().fcall(f"wedops_{call}", 1, "wedops:{3}", *words)


@pytest.mark.parametrize("rtt", ["nan", "inf", "-5", "soon", "", "1e300"])
def test_a_round_trip_that_is_none_is_not_measured(rtt: str) -> None:
    store.open(connection())
    shard = keys.shard("w-1", 64)
    assert redis.connections().fcall("wedops_measure", 1, shard, "w-1/u1/c1", rtt, "x", "-1", "1e300") == []
    [east] = report.snapshots(_totals(), [], at=NOON)
    assert (east.p95_ms, east.messages, east.errors, east.bytes) == (None, 0, 0, 0)


def test_measurements_beyond_all_bounds_never_keep_a_snapshot_from_its_row() -> None:
    store.open(connection())
    for _ in range(3):
        store.measure([Measurement("w-1/u1/c1", 5.0, 2**50 - 1, 2**50 - 1, 2**36)])
    shard = keys.shard("w-1", 64)
    redis.connections().hset(f"{shard}:flow", f"{EAST}|messages", 2**63 - 1)
    tasks.snapshot()
    tasks.snapshot()
    assert report.accepted(_totals())["opened"] == 0


@pytest.mark.parametrize("call", ["wedops_heartbeat", "wedops_measure"])
def test_a_call_that_is_too_long_is_refused(call: str) -> None:
    with pytest.raises(ResponseError, match="REFUSED send"):
        redis.connections().fcall(call, 1, keys.shard("w-1", 64), *["x"] * 2005)


def test_an_attempt_that_the_gateway_refused_is_counted_and_who_goes_on_waits() -> None:
    waits = [store.refused(EAST, "token_expired", "a1") for _ in range(12)]
    assert waits[:10] == [0] * 10
    assert waits[-1] > 0
    assert report.refusals(_totals()) == {"token_expired": 12}
    with pytest.raises(store.ConnectionRefused, match="reason must be token_missing"):
        store.refused(EAST, "Not A Reason", "a1")


def test_a_lost_connection_is_swept_and_its_gateway_told_unless_it_is_opened_again() -> None:
    for number in (1, 2, 3):
        store.open(connection(f"c{number}", user_id=f"u{number}"))
    with redis.connections().pubsub(ignore_subscribe_messages=True) as gateway:
        gateway.subscribe(keys.CLOSE + "n1")
        gateway.get_message(timeout=1)
        assert all(store.lost(f"w-1/u{number}/c{number}") for number in (1, 2, 3))
        assert store.open(connection("c2", user_id="u2"), resume=True).ok
        # A measurement that was on its way when the socket broke keeps no place for minutes.
        assert store.measure([Measurement("w-1/u1/c1", 20.0), Measurement("w-1/u2/c2", 20.0)]) == [
            "w-1/u1/c1"
        ]
        assert store.heartbeat(["w-1/u3/c3"]) == ["w-1/u3/c3"]
        assert upkeep.sweep() == 2
        told = [message["data"] for _ in range(3) if (message := gateway.get_message(timeout=0.2))]
    assert told == ["c1 c3"]
    [east] = report.snapshots(_totals(), [], at=NOON)
    assert (east.connections, east.swept) == (1, 2)


def test_the_silent_are_counted_before_they_are_abandoned() -> None:
    store.open(connection())
    redis.connections().zadd(f"{keys.shard('w-1', 64)}:active", {"w-1/u1/c1": 1})
    [east] = report.snapshots(_totals(), [], at=NOON)
    assert (east.connections, east.silent) == (1, 1)


def test_a_sweep_takes_more_than_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    _with(monkeypatch, sweep_batch=10)
    for number in range(25):
        store.open(connection(f"c{number}", user_id=f"u{number}"))
        store.lost(f"w-1/u{number}/c{number}")
    assert upkeep.sweep() == 25
    assert store.total() == 0


def test_what_went_by_is_told_again_until_it_is_kept() -> None:
    store.open(connection())
    assert report.accepted(_totals())["opened"] == 1
    store.open(connection("c2"))
    assert report.accepted(_totals())["opened"] == 1
    upkeep.forget_counters()
    assert report.accepted(_totals())["opened"] == 1
    upkeep.forget_counters()
    assert report.accepted(_totals())["opened"] == 0


def test_a_couple_that_is_badly_connected_is_listed_until_it_is_better() -> None:
    one = connection(user_type="couple")
    store.open(one)
    store.measure([Measurement(one.ref, 1500.0, 10)])
    assert list(upkeep.poor()) == [one.ref]
    for _ in range(30):
        store.measure([Measurement(one.ref, 20.0, 10)])
    assert upkeep.poor() == {}
    assert report.scores(_totals(), "node").keys() == {"n1"}
    assert report.scores(_totals(), "wedding").keys() == {"w-1"}


def test_on_a_full_server_connections_still_beat_and_end() -> None:
    store.open(connection())
    store.open(connection("c2"))
    server = redis.connections()
    limit = server.config_get("maxmemory")["maxmemory"]
    server.config_set("maxmemory", 1)
    try:
        assert store.heartbeat(["w-1/u1/c1"]) == []
        assert store.lost("w-1/u1/c2")
        assert upkeep.sweep() == 1
        assert store.close("w-1/u1/c1")
    finally:
        server.config_set("maxmemory", limit)
    assert counts() == {}


def test_presence_lists_people_of_any_shard_and_is_bounded() -> None:
    for number in range(2_000):
        store.open(connection(f"c{number}", user_id=f"u{number}"))
    store.open(connection("v1", user_id="v1", user_type="vendor", supplier_id="s1"))
    store.open(connection("v2", user_id="v2", user_type="vendor", supplier_id="s1", wedding_id="w-2"))
    online = upkeep.presence("w-1", ["s1", "s2"], limit=3_000)
    assert online.connections == {"couple": 0, "planner": 0, "vendor": 1, "guest": 2_000}
    assert (len(online.users), online.users["v1"], online.complete) == (2_001, "vendor", True)
    some = upkeep.presence("w-1", ["s1"], limit=300)
    assert (len(some.users) < 700, some.complete, some.connections) == (True, False, online.connections)


def test_a_snapshot_tells_prometheus_what_passes_through_a_region() -> None:
    def sample(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, {"region": "us-quiet"} | labels) or 0.0

    before = {
        name: sample(f"wedops_{name}_total") for name in ("messages", "message_errors", "message_bytes")
    }
    one = connection(channels=("timeline:w-1", "guests:w-1"), region="us-quiet")
    store.open(one)
    store.measure([Measurement(one.ref, 100.0, 7, 2, 900)])
    tasks.snapshot()
    with database.transaction() as db:
        [row] = snapshots.latest(db, since=clock.now() - timedelta(minutes=1))
    assert row.subscriptions == sample("wedops_subscriptions") == 2
    passed = {name: sample(f"wedops_{name}_total") - had for name, had in before.items()}
    assert passed == {"messages": 7, "message_errors": 2, "message_bytes": 900}
    assert 50 <= sample("wedops_rtt_ms", quantile="0.95") <= 100


def test_a_snapshot_tells_how_well_each_wedding_is_connected() -> None:
    one = connection()
    store.open(one)
    store.measure([Measurement(one.ref, 100.0, 5)])
    tasks.snapshot()
    assert quality.of("w-1") == pytest.approx(98.7, abs=0.5)
    assert quality.of("w-2") is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wedding_id=st.from_regex(ID, fullmatch=True),
    supplier_id=st.from_regex(ID, fullmatch=True),
    region=st.from_regex(NAME, fullmatch=True),
)
def test_whatever_the_calendar_takes_can_connect(wedding_id: str, supplier_id: str, region: str) -> None:
    """Wedding, supplier and region of a calendar are those of a connection, a channel and a node."""
    header = "id,start,end,zone,guest_count,venue_type,region,supplier_ids"
    text = f"{header}\n{wedding_id},2027-06-12T15:00,2027-06-12T23:00,"
    [one] = csv.read(f"{text}America/New_York,100,garden,{region},{supplier_id}\n".encode()).weddings
    assert (one.id, one.region, one.supplier_ids) == (wedding_id, region, (supplier_id,))
    asked = connection(
        wedding_id=one.id,
        region=one.region,
        supplier_id=one.supplier_ids[0],
        user_type="vendor",
        channels=(f"timeline:{one.id}",),
    )
    assert store.open(asked).ok
    assert store.close(asked.ref)


def test_a_hopeless_connection_is_closed_once_it_had_its_time() -> None:
    one = connection("c1")
    store.open(one)
    with redis.connections().pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(f"wedops:close:{one.node}")
        heard.get_message(timeout=1)
        store.measure([Measurement(one.ref, 2_000.0, 10, 90)])
        assert heard.get_message(timeout=0.2) is None, "it was opened a moment ago"
        _aged(one, 61)
        store.measure([Measurement(one.ref, 2_000.0, 10, 90)])
        assert heard.get_message(timeout=2)["data"] == "c1"
        again = connection("c2", reconnects=2)
        store.open(again)
        _aged(again, 200)
        store.measure([Measurement(again.ref, 2_000.0, 10, 90)])
        assert heard.get_message(timeout=0.2) is None, "it gets longer each time"
    assert _totals().counters[f"{EAST}|hopeless"] == 1


def _aged(one: store.Connection, seconds: int) -> None:
    """Have a connection be opened some seconds earlier than it was."""
    key = f"{keys.shard(one.tenant, store.policy().shards)}:t:{one.tenant}"
    text = redis.connections().hget(key, one.user_id)
    opened = str(record(one.ref)["opened"])  # type: ignore[index]
    redis.connections().hset(key, one.user_id, text.replace(opened, str(int(opened) - seconds)))
