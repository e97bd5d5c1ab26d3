"""Actions: one follows another, and gateways confirm."""

from typing import Any

import pytest

from tests.made import NOON, connection, due_now, scaled, wedding
from workers.connections import keys
from workers.connections import tasks as connections
from workers.connections.store.registry import open
from workers.forecasting import tasks as forecasting
from workers.foundation import clock, database, redis
from workers.scaling import tasks
from workers.scaling.rules import decision as rules
from workers.scaling.rules.policy import Policy
from workers.scaling.store import actions as store
from workers.weddings.rules.calendar import VenueType
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


def _record(db: Any, expected_previous_id: int, to: int) -> int:
    return scaled(db, region="east", expected_previous_id=expected_previous_id, to=to)


def test_of_two_that_decide_at_once_one_acts() -> None:
    with database.transaction() as db:
        assert _record(db, 0, 4)
        assert not _record(db, 0, 5)
        first = store.latest(db)["east", "instances"]
        assert _record(db, first.id, 6)
        assert store.count(db) == 2


def test_a_wedding_two_hours_ahead_scales_up_once_and_a_gateway_confirms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCALING_CONNECTIONS_PER_INSTANCE", "10")
    with database.transaction() as db:
        weddings.upsert(
            db, [wedding(starts_at=clock.now() + Policy().lead, venue_type=VenueType.CHURCH)], at=NOON
        )
    connections.snapshot()
    forecasting.refresh()
    tasks.decide()
    tasks.decide()
    with database.transaction() as db:
        [action] = store.recent(db)
    assert (action.reason, action.state, action.before) == (
        rules.Reason.CEREMONY_AHEAD,
        rules.State.APPLIED,
        2,
    )
    assert action.to > 2
    desired = redis.registry().hgetall(keys.DESIRED + "us-northeast")
    assert desired == {"action": "1", "instances": str(action.to), "connection_limit": str(action.to * 10)}
    redis.registry().hset(keys.CONFIRMED + "us-northeast", "gateway-1", action.id)
    _verify()
    with database.transaction() as db:
        assert store.recent(db)[0].state is rules.State.CONFIRMED


def test_an_action_that_was_overtaken_has_failed() -> None:
    with database.transaction() as db:
        _record(db, 0, 4)
        first = store.latest(db)["east", "instances"]
        _record(db, first.id, 6)
        store.move(db, store.latest(db)["east", "instances"], rules.State.APPLIED, at=NOON)
        assert [action.state for action in store.recent(db)] == [rules.State.APPLIED, rules.State.FAILED]


def test_what_was_lost_from_redis_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding()], at=NOON)
        _record(db, 0, 4)
    _verify()
    redis.registry().hset(keys.CONFIRMED + "east", "gateway-1", 1)
    _verify()
    redis.registry().delete(keys.DESIRED + "east")
    _verify()
    assert redis.registry().hget(keys.DESIRED + "east", "instances") == "4"
    with database.transaction() as db:
        assert store.recent(db)[0].state is rules.State.CONFIRMED


def test_people_who_are_there_count_without_a_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_CONNECTIONS_PER_INSTANCE", "1")
    with database.transaction() as db:
        weddings.upsert(db, [wedding()], at=NOON)
    for number in range(5):
        open(connection(f"c{number}"))
    connections.snapshot()
    tasks.decide()
    with database.transaction() as db:
        assert store.recent(db)[0].reason == rules.Reason.DEMAND


def _verify() -> None:
    due_now()
    tasks.verify()
