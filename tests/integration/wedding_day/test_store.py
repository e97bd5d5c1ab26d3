"""Looking at weddings when something of them is due."""

from datetime import timedelta

import pytest
from redis.exceptions import ConnectionError as NotConnected
from sqlalchemy import event

from tests.made import wedding
from workers.caching.store import pending
from workers.caching.usecases import warming
from workers.foundation import clock, database, redis
from workers.foundation.moments import Moment
from workers.wedding_day import tasks
from workers.wedding_day.keys import SEEN
from workers.wedding_day.rules.looks import Seen
from workers.wedding_day.store import looks as store
from workers.wedding_day.usecases import looking as usecases
from workers.weddings import keys
from workers.weddings.rules.calendar import Phase, Status, Wedding
from workers.weddings.rules.modes import Mode
from workers.weddings.store import due, weddings

pytestmark = pytest.mark.usefixtures("world")


def _take(*calendar: Wedding) -> Moment:
    """Have weddings in the calendar and listed; return the moment of that."""
    now = clock.now()
    with database.transaction() as db:
        weddings.upsert(db, calendar, at=now)
    due.list_due([one.id for one in calendar], at=now)
    return now


def _warmed() -> list[str]:
    """Return the weddings that are to be warmed up."""
    return sorted(one.wedding_id for one in pending.first(5_000))


def _due() -> dict[str, int]:
    return {name: int(score) for name, score in redis.registry().zrange(keys.DUE, 0, -1, withscores=True)}


def test_what_was_found_is_remembered() -> None:
    store.remember({"b": Seen(Phase.CEREMONY, "20261010T1200")})
    assert store.seen(["a", "b"]) == {"a": Seen(), "b": Seen(Phase.CEREMONY, "20261010T1200")}
    assert store.seen([]) == {}
    store.forget(["b", "c"])
    assert store.seen(["b"]) == {"b": Seen()}


def test_a_wedding_whose_start_is_near_is_warmed_up_once_even_when_redis_forgot() -> None:
    _take(wedding("w-1", starts_at=clock.now() + timedelta(hours=1)))
    due.list_due(["gone"], at=clock.now())
    tasks.look()
    tasks.look()
    redis.registry().delete(SEEN)
    due.list_due(["w-1"], at=clock.now())
    tasks.look()
    assert _warmed() == ["w-1"]
    assert list(_due()) == ["w-1"]


def test_it_is_looked_at_next_when_something_of_it_is_due() -> None:
    starts_at = Moment(clock.now().replace(microsecond=0) + timedelta(hours=5))
    now = _take(wedding("w-1", starts_at=starts_at))
    looks = []
    for _ in range(6):
        assert usecases.look(now=now) == 1
        assert usecases.look(now=now) == 0
        looks.append((_due()["w-1"] / 1000 - starts_at.timestamp()) / 3600)
        now = Moment(starts_at + timedelta(hours=looks[-1]))
    assert looks == [-4, -2, 0, 1, 6, 9], "set-up, again warm, ceremony, reception, wind-down, over"
    assert usecases.look(now=now) == 1
    assert (_due(), redis.registry().exists(SEEN)) == ({}, 0)


def test_many_that_start_at_once_cost_a_few_statements_for_each_five_hundred() -> None:
    now = clock.now()
    calendar = [wedding(f"w-{number}", starts_at=now) for number in range(1_200)]
    _take(*calendar)
    statements: list[str] = []

    def _count(_db: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    event.listen(database.engine(), "before_cursor_execute", _count)
    try:
        assert usecases.look(now=clock.now()) == 1_200
    finally:
        event.remove(database.engine(), "before_cursor_execute", _count)
    assert len(statements) <= 3 * 10
    assert len(_warmed()) == 1_200
    assert set(store.seen(["w-0", "w-1199"]).values()) == {
        Seen(Phase.CEREMONY, f"{now:%Y%m%dT%H%M}", Mode.LIVE)
    }


def test_a_change_during_a_look_is_looked_at_again() -> None:
    now = _take(wedding("w-1", starts_at=clock.now() + timedelta(days=2)))
    taken = due.take(now=now, limit=9)
    later = clock.now() + timedelta(seconds=1)
    due.list_due(["w-1"], at=Moment(later))
    due.looked(taken, {"w-1": now + timedelta(days=1)})
    assert usecases.look(now=Moment(later)) == 1


def test_a_cancelled_wedding_is_not_looked_at_again() -> None:
    now = _take(wedding("w-1", status=Status.CANCELLED, starts_at=clock.now()))
    assert usecases.look(now=now) == 1
    assert (_due(), _warmed()) == ({}, [])


def test_without_a_cache_the_others_are_looked_at_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = _take(
        wedding("near", starts_at=clock.now() + timedelta(hours=1)),
        wedding("set-up", starts_at=clock.now() + timedelta(hours=3)),
    )
    was = f"{clock.now() + timedelta(hours=3) - timedelta(hours=4):%Y%m%dT%H%M}"
    store.remember({"set-up": Seen(warm_for=was)})

    def _fail(*_arguments: object) -> None:
        raise NotConnected("gone")

    with monkeypatch.context() as away:
        away.setattr(warming, "request", _fail)
        usecases.look(now=now)
    assert store.seen(["near", "set-up"]) == {"near": Seen(), "set-up": Seen(Phase.SETUP, was, Mode.ARMED)}
    assert usecases.look(now=Moment(now + timedelta(seconds=9))) == 0
    assert usecases.look(now=Moment(now + timedelta(seconds=10))) == 1
    assert _warmed() == ["near"]


def test_what_cannot_be_read_of_one_wedding_keeps_no_other_from_being_looked_at() -> None:
    now = _take(*(wedding(f"w-{number}", starts_at=clock.now()) for number in range(3)))
    redis.registry().hset(SEEN, "w-1", "banquet+20261010T1200")
    assert usecases.look(now=now) == 3
    assert _warmed() == ["w-0", "w-1", "w-2"]


def test_a_change_that_nobody_was_woken_for_is_found_by_the_schedule() -> None:
    now = _take(wedding("w-1", starts_at=clock.now() + timedelta(days=5)))
    usecases.look(now=now)
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", starts_at=clock.now() + timedelta(minutes=100))], at=now)
    tasks.list_due()
    tasks.look()
    assert _warmed() == ["w-1"]


def test_a_wedding_that_redis_lost_or_put_off_is_listed_again_and_others_keep_their_turn() -> None:
    soon, later = clock.now() + timedelta(hours=1), clock.now() + timedelta(days=3)
    _take(
        wedding("lost", starts_at=soon), wedding("put-off", starts_at=later), wedding("due", starts_at=soon)
    )
    redis.registry().zrem(keys.DUE, "lost")
    redis.registry().zadd(keys.DUE, {"put-off": 9e15, "due": 1})
    tasks.list_due()
    listed = _due()
    assert listed["lost"] <= clock.now().timestamp() * 1000
    assert listed["put-off"] == int((later - timedelta(hours=24)).timestamp() * 1000)
    assert listed["due"] == 1
