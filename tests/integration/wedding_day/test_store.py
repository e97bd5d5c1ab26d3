"""Looking at weddings."""

from datetime import timedelta

import pytest

from tests.made import wedding
from workers.commands import store as commands
from workers.foundation import clock, database, redis
from workers.wedding_day import store, tasks
from workers.wedding_day.keys import SEEN
from workers.wedding_day.rules import Seen
from workers.weddings import keys
from workers.weddings.rules import Phase
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


def test_what_was_found_is_remembered_in_order() -> None:
    store.remember({"b": Seen(Phase.CEREMONY, "20261010T1200")})
    assert store.seen(["a", "b"]) == [Seen(), Seen(Phase.CEREMONY, "20261010T1200")]
    assert store.seen([]) == []


def test_a_wedding_whose_start_is_near_is_warmed_up_once_even_when_redis_forgot() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", starts_at=clock.now() + timedelta(hours=1))], at=clock.now())
    tasks.look(wedding_ids=["w-1", "gone"])
    tasks.look(wedding_ids=["w-1"])
    redis.registry().delete(SEEN)
    tasks.look(wedding_ids=["w-1"])
    with database.transaction() as db:
        assert commands.waiting(db) == 1


def test_a_wedding_that_redis_lost_is_listed_again_and_one_that_is_listed_keeps_its_turn() -> None:
    soon, later = clock.now() + timedelta(hours=1), clock.now() + timedelta(days=3)
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", starts_at=soon), wedding("w-2", starts_at=later)], at=clock.now())
    redis.registry().zadd(keys.DUE, {"w-2": 9e15})
    tasks.list_due()
    assert redis.registry().zscore(keys.DUE, "w-1") <= clock.now().timestamp() * 1000
    assert redis.registry().zscore(keys.DUE, "w-2") == 9e15
