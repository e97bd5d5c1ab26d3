"""Two layers: never older than a change, never absent when the source is, and nobody else's entry."""

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import sleep
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from redis import Redis
from redis.exceptions import ResponseError

from tests.integration.caching.made import body, end_processes, fail, loading, process
from tests.made import eventually
from workers.access.store import users as rules
from workers.access.store import valkey
from workers.caching import keys
from workers.caching.formats import envelope
from workers.caching.formats.envelope import Envelope
from workers.caching.rules.kinds import CONNECTION_TTL, Kind, Policy
from workers.caching.store import peaks, server
from workers.caching.store.entries import Loaded
from workers.caching.store.layers import EntryRefused, LoadTimedOut, TwoLayers
from workers.foundation import clock, redis, settings
from workers.processes.servers import Server

pytestmark = pytest.mark.usefixtures("world", "layers")

W1 = ("w-1",)


@pytest.fixture
def layers() -> Iterator[TwoLayers]:
    yield process()
    end_processes()


def _ms() -> int:
    return int(clock.epoch() * 1000)


def _entry(value: Any, **facts: Any) -> Envelope:
    given = {"name": "wedding:w-1", "revision": 1, "state": "is", "made": _ms(), "fresh": _ms() + 60_000}
    return Envelope(**given | {"load": 1, "warm": "", "value": value} | facts)


def _put(text: bytes, name: str = "wedding:w-1") -> None:
    redis.cache_server(decode=False).set(keys.ENTRIES + name, text, px=60_000)


def test_what_was_loaded_is_not_loaded_again_in_any_process(layers: TwoLayers) -> None:
    assert layers.get(Kind.WEDDING, W1, loading(body(n=1))).value["n"] == 1
    assert layers.get(Kind.WEDDING, W1, fail).value["n"] == 1
    assert process().get(Kind.WEDDING, W1, fail).value["n"] == 1


def test_each_kind_lives_as_long_as_it_may_and_is_kept_beyond_that(layers: TwoLayers) -> None:
    for kind, ids, seconds in (
        (Kind.WEDDING, W1, 120),
        (Kind.SUBSCRIPTION, ("w-1", "guest"), 300),
        (Kind.USER, ("s-1",), 600),
    ):
        fields = {"channels": [], "user_type": "guest", "weddings": [], **body()}
        copy = layers.get(kind, ids, loading(fields))
        assert 0.89 * seconds < copy.fresh_until - clock.stopwatch() <= seconds
        kept = redis.cache_server().pttl(keys.ENTRIES + keys.name(kind, ids)) / 1000 - 600
        assert 0.89 * seconds < kept <= seconds


def test_a_change_reaches_every_process(layers: TwoLayers) -> None:
    other = process()
    for one in (layers, other):
        one.get(Kind.WEDDING, W1, loading(body(n=1), 1))
    server.invalidate(["wedding:w-1"], 2)
    for one in (layers, other):
        assert eventually(lambda one=one: one.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2)
    server.invalidate(["wedding:w-1"], 2)
    sleep(0.2)
    assert other.get(Kind.WEDDING, W1, fail).value["n"] == 2, "what is as new as the change stays"


def test_what_was_loaded_before_a_change_is_kept_by_nobody(layers: TwoLayers) -> None:
    """The gap between reading the source and writing the cache."""
    loads = iter([Loaded(body(n=1), 1), Loaded(body(n=2), 2)])

    def load() -> Loaded:
        found = next(loads)
        if found.revision == 1:
            server.invalidate(["wedding:w-1"], 2)
        return found

    assert layers.get(Kind.WEDDING, W1, load).value["n"] == 2
    assert process().get(Kind.WEDDING, W1, fail).value["n"] == 2


def test_a_slow_loader_writes_over_nothing_newer(layers: TwoLayers) -> None:
    slow = process(load_within=timedelta(milliseconds=200))
    begun = threading.Event()

    def load() -> Loaded:
        begun.set()
        sleep(0.6)
        return Loaded(body(n=1), 1)

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(lambda: slow.get(Kind.WEDDING, W1, load))
        begun.wait()
        assert eventually(
            lambda: layers.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2, within=5
        )
        assert isinstance(late.exception(), LoadTimedOut)
    sleep(0.6)
    assert process().get(Kind.WEDDING, W1, fail).value["n"] == 2


def test_who_asks_after_a_change_does_not_join_a_load_from_before(layers: TwoLayers) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def load() -> Loaded:
        begun.set()
        goes_on.wait(5)
        return Loaded(body(n=1), 1)

    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(lambda: layers.get(Kind.WEDDING, W1, load))
        begun.wait()
        server.invalidate(["wedding:w-1"], 2)
        assert eventually(lambda: layers.local.changed_since(("wedding", W1), 0))
        assert layers.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2
        goes_on.set()
        early.result()
    assert layers.get(Kind.WEDDING, W1, fail).value["n"] == 2


def test_a_cold_key_is_loaded_once_by_all_processes(layers: TwoLayers) -> None:
    loads: list[int] = []
    others = [layers, process(), process()]

    def load() -> Loaded:
        loads.append(1)
        sleep(0.2)
        return Loaded(body(n=7), 1)

    with ThreadPoolExecutor(30) as pool:
        found = pool.map(lambda n: others[n % 3].get(Kind.WEDDING, W1, load).value["n"], range(30))
        assert list(found) == [7] * 30
    assert len(loads) == 1


def test_a_loader_that_died_does_not_keep_others_waiting_for_ever() -> None:
    redis.cache_server().set(keys.LOADING + "wedding:w-1", "dead", px=300)
    assert process().get(Kind.WEDDING, W1, loading(body(n=5))).value["n"] == 5


def test_a_load_that_failed_is_tried_again_at_once(layers: TwoLayers) -> None:
    def broken() -> Loaded:
        raise OSError("the source is unavailable")

    with pytest.raises(OSError, match="unavailable"):
        layers.get(Kind.WEDDING, W1, broken)
    assert layers.get(Kind.WEDDING, W1, loading(body(n=1))).value["n"] == 1


def test_what_does_not_exist_is_remembered_for_a_moment(layers: TwoLayers) -> None:
    assert layers.get(Kind.WEDDING, ("w-404",), loading(None, 3)).value is None
    assert process().get(Kind.WEDDING, ("w-404",), fail).value is None
    server.invalidate(["wedding:w-404"], 4)
    assert eventually(lambda: layers.get(Kind.WEDDING, ("w-404",), loading(body(), 4)).value is not None)


def test_an_older_copy_is_served_marked_while_the_source_is_unavailable() -> None:
    short = process(wedding_ttl=timedelta(milliseconds=100), jitter=0.0, early=0.0)
    short.get(Kind.WEDDING, W1, loading(body(n=1)))
    sleep(0.15)

    def broken() -> Loaded:
        raise OSError("the source is unavailable")

    for one in (short, process(wedding_ttl=timedelta(milliseconds=100))):
        found = one.get(Kind.WEDDING, W1, broken)
        assert (found.value["n"], found.stale) == (1, True)
        assert one.get(Kind.WEDDING, W1, broken).stale
    assert eventually(lambda: not short.get(Kind.WEDDING, W1, loading(body(n=2), 2)).stale)


def test_who_has_an_older_copy_does_not_wait_for_a_slow_source() -> None:
    short = process(wedding_ttl=timedelta(milliseconds=50), jitter=0.0, early=0.0)
    short.get(Kind.WEDDING, W1, loading(body(n=1)))
    sleep(0.1)
    goes_on = threading.Event()

    def slow() -> Loaded:
        goes_on.wait(5)
        return Loaded(body(n=2), 2)

    found = short.get(Kind.WEDDING, W1, slow)
    assert (found.value["n"], found.stale) == (1, True)
    goes_on.set()
    assert eventually(lambda: process().get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2)


def test_a_source_that_hangs_is_given_up() -> None:
    quick = process(load_within=timedelta(milliseconds=100))
    with pytest.raises(LoadTimedOut, match="wedding:w-1 could not be loaded within"):
        quick.get(Kind.WEDDING, W1, lambda: sleep(0.5) or fail())


def test_an_entry_is_loaded_anew_before_it_expires() -> None:
    eager = process(early=1e9)
    eager.get(Kind.WEDDING, W1, loading(body(n=1), 1))
    assert eager.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 1, "it is fresh still"
    assert eventually(lambda: eager.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2)


POISONED: dict[str, Callable[[], bytes]] = {
    "nothing of ours": lambda: b"\x80\x04K\x01.",
    "text": lambda: b'{"starts_at": "now"}',
    "cut": lambda: envelope.write(_entry(body()))[:-3],
    "changed": lambda: envelope.write(_entry(body(n=1))).replace(b'"n":1', b'"n":2'),
    "another's": lambda: envelope.write(_entry(body(), name="wedding:w-2")),
    "another kind's": lambda: envelope.write(_entry({"weddings": []}, name="user:w-1")),
    "no object": lambda: envelope.write(_entry([1, 2])),
    "without what it must have": lambda: envelope.write(_entry({"starts_at": "x"})),
    "fresh before it was made": lambda: envelope.write(_entry(body(), fresh=5)),
    "of no state": lambda: envelope.write(_entry(body(), state="perhaps")),
    "a bomb": lambda: _zstd(b'{"starts_at":"' + b"x" * 50_000_000 + b'"}'),
    "a later form": lambda: _with_schema(b"9"),
    "header cut": lambda: _signed(b"wedding:w-1 1 1 is\n{}"),
}


def _signed(rest: bytes) -> bytes:
    from hashlib import sha1

    return b"w1 " + sha1(rest, usedforsecurity=False).hexdigest().encode() + b" " + rest


def _zstd(text: bytes) -> bytes:
    import zstandard

    packed = zstandard.ZstdCompressor().compress(text)
    return _signed(f"wedding:w-1 1 1 is {_ms()} {_ms() + 60_000} 1 - zstd\n".encode() + packed)


def _with_schema(schema: bytes) -> bytes:
    text = envelope.write(_entry(body()))
    return _signed(text[44:].replace(b"wedding:w-1 1 ", b"wedding:w-1 " + schema + b" ", 1))


@pytest.mark.parametrize("what", POISONED)
def test_what_is_none_of_our_entries_is_refused_and_loaded_anew(layers: TwoLayers, what: str) -> None:
    _put(POISONED[what]())
    assert layers.get(Kind.WEDDING, W1, loading(body(n=3))).value["n"] == 3
    assert process().get(Kind.WEDDING, W1, fail).value["n"] == 3


@pytest.mark.parametrize(
    ("kind", "ids", "why"),
    [
        ("wedding", ("w-1:x",), "ids must be"),
        ("wedding", ("w 1",), "ids must be"),
        ("wedding", ("",), "ids must be"),
        ("wedding", ("w-1", "guest"), "is named by"),
        ("subscription", ("w-1", "king"), "one of couple"),
        ("secret", ("w-1",), "must be one of"),
    ],
)
def test_a_name_is_built_from_checked_parts(
    layers: TwoLayers, kind: Any, ids: tuple[str, ...], why: str
) -> None:
    with pytest.raises(EntryRefused, match=why):
        layers.get(kind, ids, fail)


def test_a_server_that_restarts_loses_its_functions_and_nothing_else(layers: TwoLayers) -> None:
    layers.get(Kind.WEDDING, W1, loading(body(n=1)))
    redis.cache_server().execute_command("FUNCTION FLUSH")
    assert layers.get(Kind.WEDDING, ("w-2",), loading(body(n=2))).value["n"] == 2


def test_without_its_line_a_process_trusts_no_copy_and_then_only_those_that_did_not_change(
    layers: TwoLayers, world: list[Server]
) -> None:
    for id in ("w-1", "w-2"):
        layers.get(Kind.WEDDING, (id,), loading(body(n=1), 1))
    client = redis.cache_server()
    # The line ends, and a change is made before it is back.
    client.client_kill_filter(_type="normal", skipme=True)
    server.invalidate(["wedding:w-1"], 2)
    assert eventually(lambda: not layers.local.trusted)
    assert layers.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2, "the source is asked"
    assert not layers.local.trusted
    assert eventually(lambda: layers.local.trusted)
    assert layers.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2
    assert layers.get(Kind.WEDDING, ("w-2",), fail).value["n"] == 1


def test_a_server_that_hangs_is_left_alone_within_a_second(world: list[Server]) -> None:
    import signal

    own = process()
    own.get(Kind.WEDDING, W1, loading(body(n=1)))
    cache = next(one for one in world if one.name == "cache")
    cache.process.send_signal(signal.SIGSTOP)
    try:
        assert eventually(lambda: not own.local.trusted, within=3)
        assert own.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2
        down = own.get(Kind.WEDDING, W1, lambda: (_ for _ in ()).throw(OSError("away")))
        assert (down.value["n"], down.stale) == (1, True), "both are unavailable: what is left, marked"
    finally:
        cache.process.send_signal(signal.SIGCONT)
    assert eventually(lambda: own.changes.connected)


def test_a_server_that_dies_and_comes_back_empty_costs_loads_and_no_answer(world: list[Server]) -> None:
    own = process()
    for id in ("w-1", "w-2"):
        own.get(Kind.WEDDING, (id,), loading(body(n=1), 1))
    place = next(at for at, one in enumerate(world) if one.name == "cache")
    world[place].process.kill()
    world[place].process.wait()
    assert own.get(Kind.WEDDING, ("w-3",), loading(body(n=3))).value["n"] == 3
    assert eventually(lambda: not own.local.trusted)
    assert own.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2, "it may have changed meanwhile"
    world[place] = world[place].again()
    assert eventually(lambda: own.local.trusted)
    assert own.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2
    assert process().get(Kind.WEDDING, W1, fail).value["n"] == 2


def test_a_server_that_refuses_to_write_costs_loads_and_no_answer(layers: TwoLayers) -> None:
    before = redis.cache_server().config_get("maxmemory")["maxmemory"]
    redis.cache_server().config_set("maxmemory", 1)
    try:
        for number in (1, 2):
            assert layers.get(Kind.WEDDING, W1, loading(body(n=number))).value["n"] == number
    finally:
        redis.cache_server().config_set("maxmemory", before)


def test_a_key_of_another_type_is_refused_like_any_poison_and_stops_no_change(layers: TwoLayers) -> None:
    redis.cache_server().rpush(keys.ENTRIES + "wedding:w-1", "x")
    assert redis.cache_server().fcall("wedops_cached", 0, "wedding:w-1") == [None]
    redis.cache_server().rpush(keys.ENTRIES + "wedding:w-1", "x")
    assert layers.get(Kind.WEDDING, W1, loading(body(n=1), 1)).value["n"] == 1
    redis.cache_server().delete(keys.ENTRIES + "wedding:w-1")
    redis.cache_server().rpush(keys.ENTRIES + "wedding:w-1", "x")
    server.invalidate(["wedding:w-1", "wedding:w-2"], 2)
    assert eventually(lambda: layers.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2)


def test_a_loader_that_dies_costs_who_comes_next_half_their_patience() -> None:
    hasty = process(load_within=timedelta(milliseconds=600))
    server.take({"wedding:w-1": ""}, "dead", lasts_ms=hasty.lease_ms)
    assert hasty.get(Kind.WEDDING, W1, loading(body(n=1))).value["n"] == 1


def test_a_server_that_lags_behind_what_was_heard_is_brought_up(layers: TwoLayers) -> None:
    older = envelope.write(_entry(body(n=1), revision=1))
    server.invalidate(["wedding:w-1"], 2)
    assert eventually(lambda: layers.local.heard(("wedding", W1)) == 2)
    _put(older)
    assert layers.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2
    assert process().get(Kind.WEDDING, W1, fail).value["n"] == 2


def test_who_was_passed_by_more_changes_than_are_kept_checks_all_its_copies(layers: TwoLayers) -> None:
    layers.get(Kind.WEDDING, W1, loading(body(n=1), 1))
    read, goes_on = layers.changes._read, threading.Event()
    layers.changes._read = lambda *words: goes_on.wait(5) and read(*words)  # type: ignore[method-assign]
    sleep(0.4)
    server.invalidate(["wedding:w-1"], 2)
    for number in range(2_000):
        server.invalidate([f"wedding:w-other-{number}"], 2)
    goes_on.set()
    assert eventually(lambda: layers.get(Kind.WEDDING, W1, loading(body(n=2), 2)).value["n"] == 2, within=3)


def test_what_is_too_large_for_any_reader_is_not_written(layers: TwoLayers) -> None:
    large = body(timeline=["x" * 1_100_000])
    assert layers.get(Kind.WEDDING, W1, loading(large)).value == large
    assert not redis.cache_server().exists(keys.ENTRIES + "wedding:w-1", keys.LOADING + "wedding:w-1")


def test_words_that_are_none_keep_no_process_from_its_cache() -> None:
    redis.registry().hset(keys.PEAK, "somebody", "nonsense")
    assert process().get(Kind.WEDDING, W1, loading(body(n=1))).value["n"] == 1


def test_room_shrinks_while_others_read(layers: TwoLayers) -> None:
    layers.tune(entries=1_000, compress_above=None)
    for number in range(800):
        layers.get(Kind.WEDDING, (f"w-{number}",), loading(body(n=number)))
    ended = threading.Event()

    def _read() -> None:
        while not ended.is_set():
            for key in list(layers.local.copies):
                layers.local.touch(key)

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(_read) for _ in range(2)]
        for size in (500, 1_000, 300, 50):
            layers.tune(entries=size, compress_above=None)
        ended.set()
        assert [one.result() for one in readers] == [None, None]
    assert len(layers.local) == len(layers.local._eviction) == 50


def test_gateways_read_by_a_function_and_remember_what_a_connection_had(layers: TwoLayers) -> None:
    layers.get(Kind.WEDDING, W1, loading(body(n=1), 4))
    layers.get(Kind.WEDDING, ("w-404",), loading(None, 4))
    read = redis.cache_server().fcall
    facts, absent, nothing = read("wedops_cached", 0, "wedding:w-1", "wedding:w-404", "user:s-1")
    assert (facts[:3], orjson.loads(facts[3])["n"]) == (["fresh", 4, "json"], 1)
    assert (absent[0], nothing) == ("absent", None)
    kept = orjson.dumps({"channels": ["wedding:w-1"], "name": "nobody's business"})
    assert read("wedops_cache_remember", 0, "w-1", "u-1", kept) == 1
    [again] = read("wedops_cached", 0, "connection:w-1:u-1")
    assert orjson.loads(again[3])["channels"] == ["wedding:w-1"]
    assert layers.get(Kind.CONNECTION, ("w-1", "u-1"), fail).value == {"channels": ["wedding:w-1"]}
    lives = timedelta(milliseconds=redis.cache_server().pttl(keys.CONNECTIONS + "w-1:u-1"))
    assert CONNECTION_TTL - timedelta(seconds=5) < lives <= CONNECTION_TTL
    _put(b"w1 " + b"0" * 40 + b" wedding:w-1 1 1 is 1 2 1 - json\n{}")
    assert read("wedops_cached", 0, "wedding:w-1") == [None], "gateways get no poisoned entry either"


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("wedops_cached", (), "send 1 to 100 names"),
        ("wedops_cached", ("wedding",), "name 1 must be KIND:ID"),
        ("wedops_cached", ("wedding:w-1", "wedding:a b"), "name 2 must be"),
        ("wedops_cached", ("subscription:w-1:king",), "name 1 must be"),
        ("wedops_cached", ("wedding:w-1:",), "name 1 must be"),
        ("wedops_cache_remember", ("w-1", "u-1"), "send wedding, user and body"),
        ("wedops_cache_remember", ("w 1", "u-1", "{}"), "wedding must be"),
        ("wedops_cache_remember", ("w-1", "u-1", "{}"), "body must be a JSON object whose channels"),
        ("wedops_cache_remember", ("w-1", "u-1", '{"channels":[NaN]}'), "body must be"),
        ("wedops_cache_remember", ("w-1", "u-1", '{"channels":["a\\u0001b"]}'), "body must be"),
        ("wedops_cache_remember", ("w-1", "u-1", '{"channels":{"a":"b"}}'), "body must be"),
        (
            "wedops_cache_remember",
            ("w-1", "u-1", '{"channels":' + 300 * "[" + 300 * "]" + "}"),
            "body must be",
        ),
        ("wedops_cache_remember", ("w-1", "u-1", "nonsense"), "body must be a JSON object"),
        ("wedops_cache_remember", ("w-1", "u-1", '{"channels":["' + "x" * 9000 + '"]}'), "8000 bytes"),
    ],
)
def test_a_gateway_that_asks_wrongly_is_told_what_is_wrong(
    name: str, arguments: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ResponseError, match=f"REFUSED.*{why}"):
        redis.cache_server().fcall(name, 0, *arguments)


def test_peak_mode_reaches_every_process_and_ends_there(layers: TwoLayers) -> None:
    large = {"timeline": {"moment": "x" * 4000}}
    for _ in range(3):
        layers.get(Kind.WEDDING, W1, loading(body(**large)))
    other = process()
    layers.tally.flush(now=clock.now())
    peaks.order(peaks.Peak("k", clock.epoch() + 60, "ada"))
    assert eventually(lambda: other.local.capacity == Policy().local_entries_peak)
    assert eventually(lambda: len(other.local) == 1), "what is hot is held ahead"
    assert process().local.capacity == Policy().local_entries_peak, "who starts meanwhile follows it too"
    other.get(Kind.WEDDING, ("w-2",), loading(body(**large)))
    assert b" zstd\n" in redis.cache_server(decode=False).get(keys.ENTRIES + "wedding:w-2")
    assert process().get(Kind.WEDDING, ("w-2",), fail).value["timeline"] == large["timeline"]
    peaks.end(peaks.known())
    assert eventually(lambda: other.local.capacity == Policy().local_entries and not other.compress_above)


@pytest.fixture
def users() -> Iterator[Callable[[str], redis.Client]]:
    """Return what logs in as a role."""
    own, url = redis.cache_server(), urlsplit(settings.servers().cache_url)
    users = rules.RULES[rules.Server.CACHE]
    valkey.grant(own, {role: (each, {"a": "secret"}) for role, each in users.items()})
    yield lambda role: Redis(host=url.hostname or "", port=url.port or 0, username=role, password="secret")
    own.acl_deluser(*users)


def test_a_gateway_may_write_what_its_connections_had_and_no_wedding(
    layers: TwoLayers, users: Callable[[str], redis.Client]
) -> None:
    layers.get(Kind.WEDDING, W1, loading(body(n=1)))
    gateway = users("gateway")
    assert gateway.fcall("wedops_cached", 0, "wedding:w-1")[0][0] == b"fresh"
    assert gateway.fcall("wedops_cache_remember", 0, "w-1", "u-1", '{"channels":["wedding:w-1"]}') == 1
    for what in (
        lambda: gateway.set(keys.ENTRIES + "wedding:w-1", "poison"),
        lambda: gateway.fcall("wedops_cache_invalidate", 0, 9, "wedding:w-1"),
        lambda: gateway.set(keys.MARK, "9/"),
        lambda: gateway.config_set("maxmemory", 1),
        lambda: gateway.execute_command("FUNCTION", "FLUSH"),
        gateway.flushall,
    ):
        with pytest.raises(ResponseError):
            what()
    assert layers.get(Kind.WEDDING, W1, fail).value["n"] == 1


def test_a_worker_has_what_the_cache_needs_and_nothing_of_others(
    users: Callable[[str], redis.Client],
) -> None:
    worker = users("worker")
    worker.execute_command("FUNCTION", "LOAD", "REPLACE", redis.libraries()[redis.CACHING])
    text = envelope.write(_entry(body()))
    name = "wedding:w-1"
    both = keys.ENTRIES + name, keys.LOADING + name
    assert worker.fcall("wedops_cache_take", 2, *both, name, "t", 1000, "")[0] == b"load"
    assert worker.fcall("wedops_cache_fill", 2, *both, name, "t", 1, 1000, text) == 1
    assert worker.fcall("wedops_cache_invalidate", 0, 2, name) == 1
    assert worker.xread({keys.CHANGES: "0-0"})
    assert worker.info("server")["run_id"]
    with pytest.raises(ResponseError):
        worker.set("another's", 1)
    with pytest.raises(ResponseError):
        worker.execute_command("ACL", "LIST")


def test_threads_that_read_and_end_leave_no_connection_behind(layers: TwoLayers) -> None:
    layers.get(Kind.WEDDING, W1, loading(body(n=1)))
    before = redis.cache_server().info("clients")["connected_clients"]
    for _ in range(8):
        with ThreadPoolExecutor(30) as pool:
            list(pool.map(lambda _: layers.hold([("wedding", W1)]), range(30)))
            list(pool.map(lambda _: layers._get_text("wedding:w-1"), range(30)))
    # Those that ended are closed once Python has collected them.
    gc.collect()
    assert eventually(lambda: redis.cache_server().info("clients")["connected_clients"] < before + 60)
    assert layers.get(Kind.WEDDING, ("w-2",), loading(body(n=2))).value["n"] == 2
