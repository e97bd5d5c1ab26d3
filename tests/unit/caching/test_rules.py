"""Times to live, evictions, what a warm-up is worth, and what a structure says."""

from collections import OrderedDict
from dataclasses import replace
from math import exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.caching.rules import freshness, warming
from workers.caching.rules.eviction import Eviction
from workers.caching.rules.kinds import Kind, Policy, problem
from workers.caching.rules.structure import Compared, Structure
from workers.caching.rules.warming import ClassOutcome, Outcome


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [(Kind.SUBSCRIPTION, 300), (Kind.USER, 600), (Kind.WEDDING, 120), (Kind.CONNECTION, 1800)],
)
def test_each_kind_has_its_time_to_live(kind: Kind, seconds: int) -> None:
    assert Policy().ttl(kind).total_seconds() == seconds


@pytest.mark.parametrize(
    ("field", "value"), [("jitter", 1.0), ("jitter", -0.1), ("early", -1.0), ("local_entries", 0)]
)
def test_a_policy_that_no_cache_can_keep_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        replace(Policy(), **{field: value})


def test_a_name_says_what_is_wrong_with_it() -> None:
    assert problem("wedding", ("w-1",)) is None
    assert problem("subscription", ("w-1", "vendor", "s-1")) is None
    assert "ids must be" in str(problem("wedding", ("w:1",)))
    assert "named by" in str(problem("connection", ("w-1",)))


@given(st.floats(0, 1000), st.floats(0, 0.99), st.floats(0, 1, exclude_max=True))
def test_lives_differ_and_never_grow(ttl: float, jitter: float, drawn: float) -> None:
    assert ttl * (1 - jitter) <= freshness.lives(ttl, jitter, drawn) <= ttl


def test_an_entry_is_loaded_early_the_likelier_the_longer_its_load_takes() -> None:
    assert freshness.early(100.0, 0.0, 1.0, 0.5) == 100.0
    assert freshness.early(100.0, 10.0, 1.0, exp(-1)) == pytest.approx(90.0)
    assert freshness.early(5.0, 10.0, 1.0, exp(-1)) == 0.0, "never before it was made"
    assert freshness.early(100.0, 10.0, 0.0, 0.01) == 100.0


def _hits(keys: list[int], capacity: int) -> tuple[int, int]:
    """Return how often ours and LRU have what is asked for."""
    ours, mine, lru, theirs = Eviction(capacity), set[int](), OrderedDict[int, None](), 0
    hits = 0
    for key in keys:
        if key in mine:
            hits += 1
            if not ours.touch(key):
                ours.miss(key)
        else:
            mine.add(key)
            mine.discard(ours.add(key))
        theirs += key in lru
        lru[key] = None
        lru.move_to_end(key)
        if len(lru) > capacity:
            lru.popitem(last=False)
    assert len(ours) == len(mine) <= capacity
    return hits, theirs


def test_recency_is_kept_where_recency_is_all() -> None:
    """Each key is asked for a few times soon after it came, and never again."""
    chance, keys = Random(7), list[int]()
    for new in range(4000):
        keys += [max(0, new - int(chance.expovariate(1 / 40))) for _ in range(3)]
    ours, lru = _hits(keys, 100)
    assert ours >= lru


def test_what_is_asked_for_once_does_not_push_out_what_is_asked_for_often() -> None:
    chance = Random(7)
    keys = [chance.randrange(90) if place % 2 else 1000 + place for place in range(20_000)]
    ours, lru = _hits(keys, 100)
    assert ours > 1.5 * lru


@given(st.lists(st.integers(0, 40), max_size=300), st.integers(1, 12))
def test_there_is_never_more_than_fits(keys: list[int], capacity: int) -> None:
    _hits(keys, capacity)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("adr")), max_size=200))
def test_room_changes_at_any_time(steps: list[tuple[int, str]]) -> None:
    held, eviction = set[int](), Eviction(8)
    for key, step in steps:
        if step == "d":
            eviction.discard(key)
            held.discard(key)
        elif step == "r":
            eviction.resize(1 + key % 12)
            held -= {eviction.give_up() for _ in range(len(held) - eviction.capacity)}
        elif key in held:
            if not eviction.touch(key):
                eviction.miss(key)
        else:
            held.add(key)
            held.discard(eviction.add(key))
        assert len(held) == len(eviction) <= eviction.capacity


def test_a_warm_up_is_worth_what_was_read_of_it() -> None:
    classes = {
        "wedding": ClassOutcome(of=1, warmed=1, read=1, hits=8, misses=0),
        "user": ClassOutcome(of=9, warmed=9, read=3, hits=1, misses=1),
    }
    assert Outcome(classes).precision == 0.4
    assert Outcome(classes).recall == 0.9
    assert Outcome({}).precision is None
    assert Outcome({}).recall is None


def test_what_past_weddings_did_not_ask_for_is_not_loaded_ahead_until_they_do() -> None:
    came = {"wedding": ClassOutcome(of=1, warmed=1, read=1, hits=1)}
    unread = [{"user": ClassOutcome(of=10, warmed=10), **came}] * 40
    assert warming.is_worth("user", {}), "what nothing is known of is loaded"
    assert warming.is_worth("user", warming.shares(unread[:2])), "two weddings say little"
    assert not warming.is_worth("user", warming.shares(unread))
    nobody = [{"user": ClassOutcome(of=10, warmed=10), "wedding": ClassOutcome(of=1, warmed=1)}] * 40
    assert warming.shares(nobody) == {}, "nobody came while it was warm"
    assert warming.is_worth("wedding", {"wedding": 0.0}), "or what is missed would be learned no more"
    missed = [{"user": ClassOutcome(of=10, misses=9)}] * 40
    assert warming.is_worth("user", warming.shares([*unread, *missed]))


def test_a_warm_up_slows_down_where_something_is_busy() -> None:
    pause = 0.1
    for _ in range(30):
        pause = warming.next_pause(pause, took=0.02, usual=0.02)
    assert pause == pytest.approx(0.01, abs=0.001)
    assert warming.next_pause(pause, took=0.3, usual=0.02) == 2 * pause
    assert warming.next_pause(pause, took=0.1, usual=0.02) <= pause, "that is no long time"
    assert warming.next_pause(1.9, took=1.0, usual=0.02) == 2.0


def test_how_full_a_server_is_depends_on_its_limit() -> None:
    assert Structure(50, 100, 0, 0).pressure == 0.5
    assert Structure(50, 0, 0, 0).pressure is None


def test_a_server_is_too_small_when_it_is_full_and_has_to_give_up_what_it_has() -> None:
    full = Structure(95, 100, 0, 0, evictions_per_s=2.0)
    assert full.is_too_small
    assert not replace(full, evictions_per_s=0.0).is_too_small
    assert not replace(full, used=50).is_too_small
    assert not replace(full, limit=0).is_too_small


def test_how_much_is_stale_is_a_share_of_what_was_compared() -> None:
    assert Compared(0, 0).share == 0
    assert Compared(50, 1).share == 0.02
