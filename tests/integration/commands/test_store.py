"""What was accepted is done, whatever fails; what is wrong is refused by name."""

from datetime import timedelta

import pytest
from redis.exceptions import ConnectionError as NotConnected
from sqlalchemy import text

from tests.made import NOON, wedding
from workers import client
from workers.app import app
from workers.caching import tasks as caching
from workers.caching.store import pending
from workers.commands import tasks
from workers.commands.rules.requests import KIND, Request
from workers.commands.store import requests as store
from workers.commands.usecases import commands as usecases
from workers.connections.tasks import prepare_peak
from workers.emergencies import tasks as emergency_tasks
from workers.emergencies.store import emergencies
from workers.foundation import clock, database, redis
from workers.outbox import store as outbox
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture(autouse=True)
def _calendar(world: object) -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1")], at=NOON)


def _sent() -> int:
    return int(redis.registry().llen("emergency"))


def test_a_request_has_a_row_and_a_message() -> None:
    asked = client.open_emergency("weather", "w-1", request_key="storm")
    assert (asked.state, asked.message["kind"]) == ("accepted", "weather")
    assert _sent() == 1


def test_the_same_key_does_it_once_and_another_use_of_it_is_refused() -> None:
    client.open_emergency("weather", "w-1", request_key="storm")
    emergency_tasks.open_emergency(kind="weather", wedding_id="w-1", request_key="storm")
    assert client.open_emergency("weather", "w-1", request_key="storm").state == "done"
    emergency_tasks.open_emergency(kind="weather", wedding_id="w-1", request_key="storm")
    with database.transaction() as db:
        assert len(emergencies.active(db)) == 1
    with pytest.raises(client.Refused, match="request_key 'storm' was used for something else"):
        client.open_emergency("venue", "w-1", request_key="storm")


@pytest.mark.parametrize(
    ("kind", "wedding_id", "says"),
    [
        ("flood", "w-1", "kind='flood': Input should be 'weather', 'venue', 'vendor' or 'technical'"),
        ("venue", "w 1", "wedding_id: String should match pattern"),
        ("venue", "w-404", "wedding_id='w-404' is not in the calendar; import it first"),
    ],
)
def test_what_is_wrong_is_refused_by_name_and_leaves_nothing(kind: str, wedding_id: str, says: str) -> None:
    with pytest.raises(client.Refused) as caught:
        client.open_emergency(kind, wedding_id, request_key="k")
    assert says in str(caught.value)
    assert client.find("k") is None
    assert _sent() == 0


def test_a_broker_that_is_full_refuses_the_message_and_the_request_is_kept_and_sent_later() -> None:
    server = redis.registry()
    limit = server.config_get("maxmemory")["maxmemory"]
    server.config_set("maxmemory", 1)
    try:
        assert client.open_emergency("technical", "w-1", request_key="full").state == "accepted"
        assert _sent() == 0
    finally:
        server.config_set("maxmemory", limit)
    _is_due()
    tasks.redeliver()
    assert _sent() == 1


def test_a_database_that_is_away_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDOPS_DATABASE_URL", "postgresql://wedops@127.0.0.1:1/wedops")
    try:
        with pytest.raises(client.Refused, match="PostgreSQL does not answer"):
            client.warm_up("w-1", request_key="k")
    finally:
        monkeypatch.undo()
    assert client.find("k") is None


def test_what_has_no_effect_is_sent_again_ever_more_slowly() -> None:
    client.open_emergency("venue", "w-1", request_key="k")
    waits = []
    for sent in range(1, 5):
        assert _sent() == sent
        tasks.redeliver()
        assert _sent() == sent, "it is not due"
        waits.append(_is_due())
        tasks.redeliver()
    assert waits == pytest.approx([5, 20, 40, 80], rel=0.3), "the first attempt is the one of who accepted it"
    emergency_tasks.open_emergency(kind="venue", wedding_id="w-1", request_key="k")
    _is_due()
    tasks.redeliver()
    assert _sent() == 5, "its effect is there"


def test_what_merely_waits_is_not_sent_again_and_what_was_lost_is() -> None:
    """The oldest message of the queue was sent before these were accepted: theirs are behind it."""
    at = clock.epoch()
    app.send_task("emergencies.open", kwargs={"request_key": "old"}, headers={"enqueued_at": at - 60})
    client.open_emergency("venue", "w-1", request_key="waits")
    client.open_emergency("weather", "w-1", request_key="waits/2")
    redis.registry().lpop("emergency")
    _all_are_due()
    tasks.redeliver()
    assert _sent() == 2
    with database.transaction() as db:
        db.execute(
            text("UPDATE requests SET accepted_at = now() - interval '2 minutes' WHERE key = 'waits/2'")
        )
    _all_are_due()
    tasks.redeliver()
    assert _sent() == 3, "it was accepted before the oldest was sent: it is not among those that wait"
    redis.registry().delete("emergency")
    _all_are_due()
    tasks.redeliver()
    assert _sent() == 2, "nothing waits any more"


@pytest.mark.parametrize("enqueued_at", [-1e12, "-inf", "nan", 0])
def test_a_message_of_no_age_keeps_nothing_from_being_sent_again(enqueued_at: object) -> None:
    client.open_emergency("venue", "w-1", request_key="lost")
    redis.registry().delete("emergency")
    app.send_task("caching.warm_up", kwargs={}, headers={"enqueued_at": enqueued_at})
    _all_are_due()
    tasks.redeliver()
    assert _sent() == 1


def test_what_was_refused_stays_so_when_it_comes_again() -> None:
    message = {"kind": "venue", "wedding_id": "later", "request_key": "k"}
    emergency_tasks.open_emergency.apply(kwargs=message)
    with database.transaction() as db:
        weddings.upsert(db, [wedding("later")], at=NOON)
    emergency_tasks.open_emergency.apply(kwargs=message)
    found = client.find("k")
    assert found
    assert found.state == "refused"
    with database.transaction() as db:
        assert emergencies.active(db) == []


def test_many_are_accepted_at_once_or_none() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding(f"n-{number}") for number in range(2_500)], at=NOON)
    many = [{"wedding_id": f"n-{number}", "request_key": f"k/{number}"} for number in range(2_500)]
    asked = usecases.accept_all("caching.warm_up", many, caller="ada")
    assert [one.key for one in asked] == sorted(f"k/{number}" for number in range(2_500))
    assert redis.registry().llen("warm_up") == 2_500
    with pytest.raises(client.Refused, match="wedding_id='gone' is not in the calendar"):
        usecases.accept_all("caching.warm_up", [{"wedding_id": "n-1"}, {"wedding_id": "gone"}], caller="ada")
    again = [{"wedding_id": "n-9", "request_key": "new"}, {"wedding_id": "n-9", "request_key": "k/1"}]
    with pytest.raises(client.Refused, match="request_key 'k/1' was used for something else"):
        usecases.accept_all("caching.warm_up", again, caller="ada")
    twice = [{"wedding_id": f"n-{number}", "request_key": "twice"} for number in (1, 2)]
    with pytest.raises(client.Refused, match="request_key 'twice' was used for something else"):
        usecases.accept_all("caching.warm_up", twice, caller="ada")
    assert (client.find("new"), client.find("twice")) == (None, None)
    assert redis.registry().llen("warm_up") == 2_500


def test_what_fails_unexpectedly_is_accepted_and_tried_again_also_when_nobody_asked_by_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def _fail(*_arguments: object) -> None:
        raise NotConnected("the registry is gone")

    with monkeypatch.context() as away:
        away.setattr(pending, "add", _fail)
        with pytest.raises(NotConnected):
            caching.warm_up(wedding_id="w-1", request_key="by/the/broker")
    found = client.find("by/the/broker")
    assert found
    assert found.state == "accepted"
    _all_are_due()
    tasks.redeliver()
    assert redis.registry().llen("warm_up") == 1
    caching.warm_up(**found.message)
    found = client.find("by/the/broker")
    assert found
    assert found.state == "done"


def _all_are_due() -> None:
    with database.transaction() as db:
        db.execute(text("UPDATE outbox SET due_at = now() WHERE kind = 'command'"))


def _is_due() -> float:
    """Have the wait be over; return how long it was."""
    with database.transaction() as db:
        waits = db.execute(
            text("SELECT extract(epoch FROM due_at - now()) FROM outbox WHERE kind = 'command'")
        ).scalar_one()
        db.execute(text("UPDATE outbox SET due_at = now() WHERE kind = 'command'"))
    return float(waits)


def test_what_a_client_of_the_version_before_accepts_is_sent_and_what_its_worker_does_is_not_sent_again() -> (
    None
):
    message = '{"wedding_id": "w-1", "kind": "venue", "request_key": "old"}'
    with database.transaction() as db:
        db.execute(
            text(
                "INSERT INTO requests (key, task, message, accepted_at) "
                "VALUES ('old', 'emergencies.open', cast(:message AS jsonb), now()) ON CONFLICT DO NOTHING"
            ),
            {"message": message},
        )
    tasks.redeliver()
    assert _sent() == 1
    with database.transaction() as db:
        db.execute(text("UPDATE requests SET state = 'done', settled_at = now()"))
    _is_due()
    tasks.redeliver()
    assert _sent() == 1
    with database.transaction() as db:
        assert outbox.waiting(db, KIND) == []


def test_a_command_about_no_wedding_is_accepted_done_once_and_settled_with_its_effect() -> None:
    until = (clock.now() + timedelta(hours=2)).isoformat()
    asked = usecases.accept(
        "connections.prepare_peak", {"connections": 900, "until": until, "request_key": "p"}, caller="ada"
    )
    assert (asked.state, asked.caller) == ("accepted", "ada")
    prepare_peak(**asked.message)
    prepare_peak(**asked.message)
    found = client.find("p")
    assert found
    assert (found.state, found.effect) == ("done", "room for 1080 connections")
    with pytest.raises(
        client.Refused, match="connections: Input should be greater than or equal to 1; until is missing"
    ):
        usecases.accept("connections.prepare_peak", {"connections": 0}, caller="ada")


def test_a_request_whose_wedding_vanished_is_refused_with_its_reason() -> None:
    client.open_emergency("venue", "w-1", request_key="k")
    with database.transaction() as db:
        db.execute(weddings.weddings.delete())
    emergency_tasks.open_emergency.apply(kwargs={"kind": "venue", "wedding_id": "w-1", "request_key": "k"})
    found = client.find("k")
    assert found
    assert found.state == "refused"
    assert "not in the calendar" in str(found.reason)


def test_no_task_is_offered_but_those_of_the_contract() -> None:
    with pytest.raises(
        client.Refused, match=r"'measurements.retain' is no task for other services; offered are"
    ):
        usecases.accept("measurements.retain", {}, caller="ada")
    assert app.conf.accept_content == ["json"]


def test_a_key_of_a_version_whose_command_had_fewer_fields_is_known_both_ways() -> None:
    with database.transaction() as db:
        asked = Request(
            "old", "emergencies.open", {"wedding_id": "w-1", "kind": "venue", "request_key": "old", "gone": 1}
        )
        store.accept(db, [asked], at=clock.machine_now())
    assert client.open_emergency("venue", "w-1", request_key="old").state == "accepted"
    emergency_tasks.open_emergency(kind="venue", wedding_id="w-1", request_key="old")
    assert client.open_emergency("venue", "w-1", request_key="old").state == "done"
    with pytest.raises(client.Refused, match="used for something else"):
        client.open_emergency("weather", "w-1", request_key="old")
