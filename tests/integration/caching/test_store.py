"""Two layers: quick, bounded, and never older than a change."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import sleep
from typing import Any

import pytest

from tests.made import NOON, eventually, wedding
from workers.caching import store, tasks
from workers.caching.keys import CHANGED
from workers.caching.rules import Kind, Policy
from workers.caching.store import Entry
from workers.commands import store as commands
from workers.foundation import database, redis
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def layers() -> store.TwoLayers:
    found = store.TwoLayers(Policy(local_entries=2))
    assert eventually(lambda: redis.cache_server().pubsub_numsub(CHANGED)[0][1] >= 1)
    return found


def _fail() -> Any:
    raise AssertionError("loaded though it was there")


def test_what_was_loaded_is_not_loaded_again_in_any_process(layers: store.TwoLayers) -> None:
    assert layers.get(Kind.USER, "u1", lambda: {"name": "x"}) == {"name": "x"}
    assert layers.get(Kind.USER, "u1", _fail) == {"name": "x"}
    assert store.TwoLayers(Policy()).get(Kind.USER, "u1", _fail) == {"name": "x"}


def test_each_kind_lives_as_long_as_it_may(layers: store.TwoLayers) -> None:
    layers.put_all([Entry(Kind.WEDDING, "w-1", 1)])
    assert 110_000 < redis.cache_server().pttl("wedops:cache:wedding:w-1") <= 120_000
    short = store.TwoLayers(Policy(wedding_ttl=timedelta(milliseconds=50)))
    short.put_all([Entry(Kind.WEDDING, "w-2", 1)])
    short.get(Kind.WEDDING, "w-2", _fail)
    assert eventually(lambda: short.get(Kind.WEDDING, "w-2", lambda: 2) == 2)


def test_a_change_reaches_every_process(layers: store.TwoLayers) -> None:
    other = store.TwoLayers(Policy())
    eventually(lambda: redis.cache_server().pubsub_numsub(CHANGED)[0][1] >= 2)
    layers.put_all([Entry(Kind.WEDDING, "w-1", 1)])
    assert other.get(Kind.WEDDING, "w-1", _fail) == 1
    layers.put_all([Entry(Kind.WEDDING, "w-1", 2)])
    assert eventually(lambda: other.get(Kind.WEDDING, "w-1", _fail) == 2)
    layers.invalidate_all(Kind.WEDDING, ["w-1"])
    assert eventually(lambda: other.get(Kind.WEDDING, "w-1", lambda: 3) == 3)


def test_a_cold_key_is_loaded_once(layers: store.TwoLayers) -> None:
    loads: list[int] = []

    def load() -> int:
        loads.append(1)
        sleep(0.2)
        return 7

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: layers.get(Kind.USER, "cold", load), range(8))) == [7] * 8
    assert len(loads) == 1


def test_a_loader_that_died_does_not_keep_others_waiting_for_ever(layers: store.TwoLayers) -> None:
    quick = store.TwoLayers(Policy(load_within=timedelta(milliseconds=100)))
    redis.cache_server().set("wedops:loading:user:u1", "dead", px=100_000)
    assert quick.get(Kind.USER, "u1", lambda: 5) == 5


def test_a_wedding_is_warmed_up_and_its_result_recorded_once() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", duties={"s1": {"type": "florist"}})], at=NOON)
    for _ in range(2):
        tasks.warm_up(wedding_id="w-1", request_key="k")
    with database.transaction() as db:
        assert store.count(db, "warm_up") == 1
        assert commands.waiting(db) == 0
    assert store.layers().get(Kind.WEDDING, "w-1", _fail)["guest_count"] == 100
    for supplier, own in (("s1", ["wedding:w-1", "wedding:w-1:florist"]), ("s2", ["wedding:w-1"])):
        assert store.layers().get(Kind.SUBSCRIPTION, ("w-1", supplier), _fail) == own
    tasks.forget(wedding_ids=["w-1"])
    assert not redis.cache_server().exists("wedops:cache:wedding:w-1")


def test_maintenance_finds_what_would_never_expire(layers: store.TwoLayers) -> None:
    layers.put_all([Entry(Kind.USER, "u1", 1)])
    redis.cache_server().set("wedops:cache:user:orphan", "1")
    found = store.structure()
    assert (found.entries, found.unbounded) == (2, 1)
    assert store.expire() >= 1
    tasks.inspect()
