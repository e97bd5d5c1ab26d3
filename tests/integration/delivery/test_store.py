"""Urgent messages on real servers: written before they are sent, received, superseded, escalated."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from tests.made import NOON, connection, eventually, wedding
from workers.cli.main import wedops
from workers.commands.usecases.commands import MessageRefused
from workers.connections.store import registry
from workers.delivery import tasks
from workers.delivery.formats import Message
from workers.delivery.keys import GROUP, IN, URGENT
from workers.delivery.store import lane, messages, recipients
from workers.delivery.store.lane import ReceiptRefused
from workers.delivery.usecases import closing, escalation, publishing, reading, rehearsing, sending
from workers.delivery.usecases.reading import MessageUnknown
from workers.emergencies import tasks as emergencies
from workers.foundation import clock, database, redis, wakeups
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.notify import usecases as notify
from workers.notify.rules import Target
from workers.outbox import store as outbox
from workers.seasons import store as seasons
from workers.seasons.rules.season import Decision, Reason, Season
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("calendar")


def _wedding(id: str = "w-1", *, in_: timedelta = timedelta(minutes=10), **facts: Any) -> Any:
    starts = (clock.now() + in_).replace(second=0, microsecond=0)
    local = starts.replace(tzinfo=None)
    given = {
        "starts_local": local,
        "ends_local": local + timedelta(hours=6),
        "zone": "UTC",
        "duties": {"s1": {"type": "florist"}, "s2": {"type": "venue"}},
    }
    return wedding(id, starts_at=starts, **given | facts)


@pytest.fixture
def calendar(world: object) -> None:
    with database.transaction() as db:
        weddings.upsert(db, [_wedding(), _wedding("w-2")], at=clock.now())


def _send(headline: str = "to 16:00", key: str | None = "m1", sender: str = "test", **fields: Any) -> Message:
    given = {"wedding_id": "w-1", "headline": headline, "request_key": key}
    return sending.send(given | fields, sender=sender, now=clock.now(), machine=clock.machine_now())


def _states(identifier: str = "m1") -> dict[str, str]:
    return {one.recipient: one.state for one in reading.show(identifier).recipients}


def _receive(*said: tuple[str, str, str]) -> None:
    lane.receipts([("w-1", *one) for one in said])
    assert eventually(lambda: publishing.hear("test", now=clock.now()) >= len(said))


def _pass(seconds: float) -> None:
    """Have so much time pass for all messages."""
    by, moved = timedelta(seconds=seconds), (messages.messages, messages.recipients)
    with database.transaction() as db:
        for table, names in zip(moved, (["committed_at"], ["due_at", "delivered_at"]), strict=True):
            db.execute(table.update().values({name: table.c[name] - by for name in names}))


def _escalate() -> int:
    return escalation.escalate(now=clock.now())


def _notified() -> list[str]:
    with database.transaction() as db:
        return outbox.waiting(db, "notification")


def _everybody(state: str) -> dict[str, str]:
    return dict.fromkeys(("couple", "planner", "supplier:s1", "supplier:s2"), state)


@pytest.fixture
def heard() -> Iterator[Any]:
    """Yield what returns the messages that a gateway of w-1 gets."""
    with redis.connections().pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(f"{URGENT}w-1")
        channel.get_message(timeout=5)

        def _heard() -> list[tuple[str, list[str]]]:
            found = []
            while told := channel.get_message(timeout=0.1):
                body = orjson.loads(told["data"])
                found.append((body["message"]["identifier"], sorted(body["to"])))
            return found

        yield _heard


def test_a_row_for_each_recipient_is_there_before_anything_is_sent_and_wakes_the_lane(heard: Any) -> None:
    with wakeups.listening(messages.CHANNEL) as woken:
        _send()
        assert woken(5)
    assert (heard(), _states()) == ([], _everybody("pending"))
    assert publishing.publish() == 1
    assert heard() == [("m1", ["couple", "planner", "supplier:s1", "supplier:s2"])]
    assert publishing.publish() == 0


def test_what_could_not_be_published_is_published_later(heard: Any, monkeypatch: Any) -> None:
    _send()
    with monkeypatch.context() as broken:
        broken.setattr(lane, "publish", lambda _found: (_ for _ in ()).throw(redis.RedisConnectionError()))
        with pytest.raises(redis.RedisConnectionError):
            publishing.publish()
    assert publishing.publish() == 1
    assert [identifier for identifier, _ in heard()] == ["m1"]


def test_under_the_same_key_it_is_sent_once_and_another_message_is_refused() -> None:
    assert _send().id == _send().id
    with pytest.raises(ExpectedError, match="request_key 'm1' was used for another message"):
        _send("to 17:00")
    assert len(reading.of_wedding("w-1")) == 1


def test_receipts_in_any_order_and_twice_tell_how_far_it_got() -> None:
    _send()
    _receive(
        ("m1", "supplier:s1", "acknowledged"), ("m1", "supplier:s2", "sent"), ("m1", "couple", "displayed")
    )
    _receive(("m1", "supplier:s1", "delivered"), ("m1", "supplier:s1", "acknowledged"))
    found = {one.recipient: one for one in reading.show("m1").recipients}
    assert {who: one.state for who, one in found.items()} == {
        "couple": "displayed", "planner": "pending", "supplier:s1": "acknowledged", "supplier:s2": "sent",
    }  # fmt: skip
    own = found["supplier:s1"]
    assert own.delivered_at
    assert own.acknowledged_at
    assert own.delivered_at <= own.acknowledged_at
    assert own.channel == "socket"
    assert redis.connections().xlen(IN) == 0


def test_a_receipt_of_nobody_of_ours_is_counted_and_changes_nothing() -> None:
    _send()
    lane.receipts([("w-2", "m1", "couple", "acknowledged")])
    redis.connections().xadd(IN, {"receipts": "w-1 m1 couple rubbish w-1", "joined": "w-1"})
    redis.connections().xadd(IN, {"else": "x"})
    redis.undecoded().xadd(IN, {"receipts": b"w-1 a\xff planner sent"})
    redis.connections().xadd(IN, {"receipts": "w-1 q couple sent"}, id="10000000000000000-0")
    said = [("m1", "supplier:s9", "acknowledged"), ("m9", "planner", "acknowledged")]
    _receive(*said, ("m1", "planner", "delivered"))
    assert _states() == _everybody("pending") | {"planner": "delivered"}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ([("w-1", "m 1", "planner", "sent")], "message"),
        ([("w-1", "m1", "somebody", "sent")], "recipient"),
        ([("w-1", "m1", "supplier:a b", "sent")], "recipient"),
        ([("w 1", "m1", "planner", "sent")], "wedding"),
        ([("w-1", "m1", "planner", "pending")], "state"),
        ([("m1", "planner")], "4 values"),
        ([("w-1", "m1", "planner", "sent")] * 501, "500 at most"),
        ([], "4 values"),
    ],
)
def test_receipts_that_are_none_are_refused_by_field(said: list[Any], field: str) -> None:
    with pytest.raises(ReceiptRefused, match=field):
        lane.receipts(said)


def test_what_a_reader_that_died_had_read_comes_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    _send()
    publishing.hear("dies", now=clock.now())
    lane.receipts([("w-1", "m1", "planner", "delivered")])
    assert eventually(lambda: lane.hear("dies").receipts)
    monkeypatch.setattr(lane, "ABANDONED_MS", 0)
    assert eventually(lambda: publishing.hear("lives", now=clock.now()))
    assert _states()["planner"] == "delivered"
    assert redis.connections().xpending(IN, GROUP)["pending"] == 0


def test_who_joins_gets_what_they_have_not_acknowledged_and_nothing_that_is_over(heard: Any) -> None:
    _send(key="m1")
    _send("and the photos", key="m2")
    _send("at 17:00", key="m3", msg_type="Update", references=["m1"])
    publishing.publish()
    _receive(("m2", "planner", "acknowledged"))
    heard()
    lane.joined([("w-1", "planner"), ("w-1", "supplier:s1"), ("w-2", "planner"), ("w-1", "guest:g")])
    assert eventually(lambda: publishing.hear("test", now=clock.now()))
    assert heard() == [("m2", ["supplier:s1"]), ("m3", ["planner", "supplier:s1"])]


def test_an_update_takes_the_place_of_what_has_not_arrived_and_of_nothing_else() -> None:
    _send()
    _receive(("m1", "couple", "delivered"), ("m1", "supplier:s2", "acknowledged"))
    second = _send("to 17:00", key="m2", msg_type="Update", references=["m1"])
    third = _send("off", key="m3", msg_type="Cancel", references=["m1", "m2"])
    assert (second.thread, second.revision, third.thread, third.revision) == ("m1", 1, "m1", 2)
    arrived = {"couple": "delivered", "supplier:s2": "acknowledged"}
    assert _states("m1") == _everybody("superseded") | arrived
    assert _states("m2") == _everybody("superseded")
    _receive(("m2", "planner", "delivered"))
    assert _states("m2")["planner"] == "superseded", "what is outdated stays outdated, also when it arrived"
    _pass(3600)
    _escalate()
    assert not [key for key in _notified() if key.startswith(("urgent/m1", "urgent/m2"))]


def test_what_waits_elsewhere_of_what_is_outdated_is_sent_by_no_channel() -> None:
    _contact("s1")
    _send()
    _pass(5)
    _escalate()
    assert _notified() == ["urgent/m1/supplier:s1/sms"]
    _send("to 17:00", key="m2", msg_type="Update", references=["m1"])
    assert _notified() == []


@pytest.mark.parametrize("how", ["ended", "expired"])
def test_what_holds_no_longer_is_sent_by_no_channel(how: str) -> None:
    _contact("s1")
    _send()
    _pass(5)
    _escalate()
    assert _notified() == ["urgent/m1/supplier:s1/sms"]
    with database.transaction() as db:
        if how == "ended":
            closing.end(db, "test")
        else:
            closing.expire(db, now=Moment(clock.now() + timedelta(days=40)))
    assert _states() == _everybody("expired")
    assert _notified() == []


def test_an_end_waits_for_who_holds_a_message() -> None:
    _send()
    with ThreadPoolExecutor() as pool, database.transaction() as db:
        db.execute(text("SELECT FROM messages FOR UPDATE"))
        ending = pool.submit(_end)
        assert eventually(_waits)
    ending.result()
    assert _states() == _everybody("expired")


_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


def _waits() -> bool:
    """Tell whether somebody waits for a lock, in a transaction of its own: each sees one state of that."""
    with database.transaction() as db:
        return bool(db.execute(_WAITING).scalar_one())


def _end() -> None:
    with database.transaction() as db:
        closing.end(db, "test")


def test_an_exercise_takes_the_place_of_nothing_that_is_meant() -> None:
    _send()
    _refused(
        "takes the place of none of status Actual", status="Exercise", msg_type="Update", references=["m1"]
    )


def test_a_planner_who_is_a_supplier_gets_the_names() -> None:
    with database.transaction() as db:
        own = _wedding("w-3", duties={"s1": {"type": "planner"}, "s2": {"type": "band"}})
        weddings.upsert(db, [own], at=clock.now())
    _contact("s1", "pager")
    _send(wedding_id="w-3")
    _pass(15)
    _escalate()
    assert [key for key in _notified() if key.startswith("urgent/m1/names/") and key.endswith("/s1/pager")]


def _refused(match: str, **fields: Any) -> None:
    with pytest.raises(ExpectedError, match=match):
        _send(**{"key": "refused", **fields})
    with pytest.raises(MessageUnknown):
        reading.show("refused")


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"wedding_id": "w-9"}, "wedding_id='w-9' is not in the calendar"),
        ({"audience": {"supplier_types": ["magician"]}}, "no supplier magician"),
        ({"audience": {"supplier_ids": ["s1", "s9"]}}, "no supplier s9"),
        ({"audience": {"supplier": True}}, "audience.supplier"),
        ({"audience": {"suppliers": False, "planner": False, "couple": False}}, "nobody of it is on duty"),
        ({"expires": "2020-01-01T00:00:00Z"}, "expires: 2020-01-01 00:00:00Z has passed"),
        ({"expires": "2020-01-01T00:00:00"}, "expires"),
        ({"expires": "9999-12-31T23:59:59-12:00"}, "30 days after the wedding"),
        ({"headline": ""}, "headline"),
        ({"headline": "x" * 161}, "headline"),
        ({"body": "x" * 1_000_000}, "body"),
        ({"body": "a\x00b"}, "body"),
        ({"status": "Real"}, "status"),
        ({"msg_type": "Update"}, "name the message that it is about"),
        ({"msg_type": "Update", "references": ["m9"]}, "m9 is no message of w-1"),
        ({"references": ["m9"]}, "an Alert references nothing"),
        ({"moment": "x", "moment_at": "2026-10-10T16:00:00Z"}, "without an offset"),
        ({"moment": "x", "moment_at": "2020-10-10T16:00:00"}, "has passed there"),
        ({"moment": "x"}, "say both"),
        ({"moment_at": "2030-10-10T16:00:00"}, "say both"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field_and_nothing_is_written(fields: Any, match: str) -> None:
    _refused(match, **fields)


def test_an_update_of_another_weddings_message_is_refused() -> None:
    _send(wedding_id="w-2")
    _refused("m1|another", msg_type="Update", references=["m1"])


def test_updates_of_two_threads_are_refused() -> None:
    _send(key="m1")
    _send(key="m2")
    _refused("a message for each", msg_type="Update", references=["m1", "m2"])


def test_a_moment_that_clocks_skip_is_refused() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [_wedding("w-3", zone="America/New_York")], at=clock.now())
    _refused(
        "does not exist in America/New_York", wedding_id="w-3", moment="x", moment_at="2027-03-14T02:30:00"
    )


def test_a_caller_that_floods_is_refused_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELIVERY_A_SECOND", "3")
    monkeypatch.setattr(clock, "machine_now", lambda: NOON)
    for number in range(3):
        _send(key=f"m{number}", sender="flood")
    with pytest.raises(ExpectedError, match="flood sends more than 3 messages a second"):
        _send(key="m4", sender="flood")
    assert _send(key="m4", sender="other").identifier == "m4"


def _contact(recipient: str, channel: str = "sms", wedding_id: str = "") -> None:
    notify.register(Target(recipient, wedding_id, channel), "json://127.0.0.1:1/x")


def test_who_has_not_got_it_is_notified_otherwise_then_named_then_unreachable(heard: Any) -> None:
    _contact("s1")
    _contact("planner", "pager", "w-1")
    _send()
    publishing.publish()
    _receive(("m1", "couple", "delivered"), ("m1", "supplier:s2", "acknowledged"))
    heard()
    assert _escalate() == 0
    _pass(5)
    assert _escalate() == 2
    assert sorted(_notified()) == ["urgent/m1/planner/pager", "urgent/m1/supplier:s1/sms"]
    assert _states()["supplier:s1"] == "sent"
    publishing.publish()
    assert heard() == [("m1", ["planner", "supplier:s1"])], "and by their sockets once more"
    assert _escalate() == 0, "each step is taken once"
    _pass(10)
    _escalate()
    [names] = [key for key in _notified() if key.startswith("urgent/m1/names/")]
    assert names.endswith("/planner/pager")
    _pass(15)
    _escalate()
    assert [key for key in _notified() if key.startswith("urgent/m1/operations/")]
    arrived = {"couple": "delivered", "supplier:s2": "acknowledged"}
    assert _states() == _everybody("unreachable") | arrived
    _receive(("m1", "supplier:s1", "delivered"))
    assert _states()["supplier:s1"] == "delivered", "nobody is unreachable who was reached"


def test_who_has_it_and_does_not_say_so_has_longer(heard: Any) -> None:
    _contact("s1")
    _send(audience={"supplier_ids": ["s1"], "planner": False, "couple": False})
    _receive(("m1", "supplier:s1", "delivered"))
    _pass(59)
    assert _escalate() == 0
    _pass(1)
    assert _escalate() == 1
    assert _notified() == ["urgent/m1/supplier:s1/sms"]
    _receive(("m1", "supplier:s1", "acknowledged"))
    assert _notified() == [], "who acknowledged it hears no more of it"
    _pass(3600)
    assert _escalate() == 0


def test_far_from_its_moment_there_is_more_time() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [_wedding("w-3", in_=timedelta(hours=4, minutes=48))], at=clock.now())
    message = _send(wedding_id="w-3")
    assert 3.8 < message.pace <= 4.1, "48 minutes before set-up"
    soon = (clock.now() + timedelta(minutes=24)).replace(tzinfo=None)
    assert 1.8 < _send(key="m2", wedding_id="w-3", moment="set-up", moment_at=soon.isoformat()).pace <= 2


def test_what_expires_is_closed_and_shown_to_nobody(heard: Any) -> None:
    at = clock.now() + timedelta(minutes=1)
    _send(expires=at.isoformat())
    _receive(("m1", "couple", "delivered"))
    with database.transaction() as db:
        db.execute(messages.messages.update().values(expires_at=clock.now()))
    _escalate()
    assert _states() == _everybody("expired") | {"couple": "delivered"}
    lane.joined([("w-1", "planner")])
    publishing.hear("test", now=clock.now())
    assert heard() == []


def test_an_exercise_says_so_tries_every_channel_at_once_and_reports() -> None:
    _contact("s1")
    _contact("s1", "mail")
    _send("can we reach you?", status="Exercise", audience={"planner": False, "couple": False})
    _escalate()
    with database.transaction() as db:
        [mail, sms] = outbox.entries(db, _notified())
    assert (mail.body["title"], sms.body["title"]) == ("EXERCISE: can we reach you?",) * 2
    _receive(("m1", "supplier:s1", "acknowledged"))
    found = reading.show("m1")
    assert [one.channel for one in found.contacts["supplier:s1"]] == ["mail", "sms"]
    said = CliRunner().invoke(wedops, ["messages", "show", "m1"]).output
    at = r"\d\d:\d\d:\d\dZ"
    assert re.search(rf"supplier:s1  acknowledged since {at} by socket; it arrived after \d+\.\d\d s", said)
    assert re.search(rf"supplier:s2  pending since {at}", said)


def test_a_test_escalates_to_nobody() -> None:
    _contact("s1")
    _send(status="Test")
    _pass(3600)
    assert _escalate() == 0
    assert _notified() == []


def test_guests_get_it_when_asked_for_those_who_are_online() -> None:
    registry.open(connection("c1", user_id="g1"))
    registry.open(connection("c2", user_id="g2", wedding_id="w-2"))
    _send(audience={"suppliers": False, "planner": False, "couple": False, "guests": True})
    assert _states() == {"guest:g1": "pending"}


def test_a_message_by_the_broker_is_sent_once() -> None:
    for _ in range(2):
        tasks.send(wedding_id="w-1", headline="to 16:00", request_key="by/broker")
    [[message, counts]] = reading.of_wedding("w-1")
    assert re.fullmatch("[0-9a-f]{32}", message.identifier)
    assert (message.sender, counts) == ("broker", {"pending": 4})


@pytest.mark.parametrize(("days", "count"), [(7, 1), (1, 1), (3, 0)])
def test_suppliers_are_rehearsed_a_week_and_a_day_before_where_that_is_wanted(
    days: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.transaction() as db:
        before = timedelta(days=days)
        coming = [_wedding("w-3", in_=before), _wedding("w-4", in_=before, supplier_ids=())]
        weddings.upsert(db, coming, at=clock.now())
        assert rehearsing.rehearse(db, now=clock.now()) == 0
    monkeypatch.setenv("DELIVERY_REHEARSE", "true")
    for expected in (count, 0):
        with database.transaction() as db:
            assert rehearsing.rehearse(db, now=clock.now()) == expected
    found = reading.of_wedding("w-3")
    assert [(one.status, counts) for one, counts in found] == [("Exercise", {"pending": 2})] * count


@pytest.mark.parametrize(
    ("season", "in_season", "count"), [("peak", "true", 1), ("off", "true", 0), ("peak", "false", 0)]
)
def test_in_a_peak_season_suppliers_are_rehearsed_unless_that_is_off(
    season: str, in_season: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELIVERY_REHEARSE_IN_SEASON", in_season)
    with database.transaction() as db:
        weddings.upsert(db, [_wedding("w-3", in_=timedelta(days=1))], at=clock.now())
        decided = {"us-northeast": Decision(Season(season), Reason.BOOKINGS, 1.0)}
        seasons.record(db, decided, at=clock.now())
        assert rehearsing.rehearse(db, now=clock.now()) == count


def test_two_updates_at_once_get_their_own_numbers() -> None:
    _send()
    with database.transaction() as first:
        asked = {"wedding_id": "w-1", "msg_type": "Update", "references": ["m1"]}
        own = sending.SendMessage(headline="a", **asked)
        number = sending.write(first, own, "m2", sender="test", now=clock.now()).revision
    assert (number, _send("b", key="m3", msg_type="Update", references=["m1"]).revision) == (1, 2)


def test_many_recipients_are_escalated_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(escalation, "AT_ONCE", 3)
    _send()
    _send(key="m2")
    _pass(40)
    assert _escalate() == 8
    assert set(_states().values()) == {"unreachable"}
    with database.transaction() as db:
        assert recipients.due(db, limit=10) == []


def test_what_happened_tells_the_messages() -> None:
    _send()
    with database.transaction() as db:
        [one] = reading.happened(db, Moment(datetime(2020, 1, 1, tzinfo=NOON.tzinfo)), limit=5)
    assert "message m1 to w-1: to 16:00 (4 pending)" in one.what
    assert one.by == "test"


def test_a_message_that_is_unknown_is_named() -> None:
    with pytest.raises(MessageUnknown, match="'m9'"):
        reading.show("m9")


def test_what_is_no_message_is_refused_as_a_command_is() -> None:
    with pytest.raises(MessageRefused, match="headline"):
        _send(headline=None)


def _run(*words: str) -> str:
    return CliRunner().invoke(wedops, words).output


def _blamed() -> str:
    return " ".join(orjson.loads(_run("status", "--json"))["why"])


def test_status_says_what_has_not_left_and_whom_nothing_reached() -> None:
    _send()
    assert "urgent message(s) have not left" not in _blamed()
    _pass(6)
    assert "1 urgent message(s) have not left: does the process `urgent` run?" in _blamed()
    publishing.publish()
    _pass(60)
    _escalate()
    publishing.publish()
    blamed = _blamed()
    assert "have not left" not in blamed
    assert "4 of w-1 have not got message m1: ring them (`wedops messages show m1`)" in blamed


def test_a_wedding_shows_its_suppliers_messages_and_emergencies() -> None:
    _send("to\x1b[2J 16:00".replace("\x1b", ""))
    emergencies.open_emergency(kind="vendor", wedding_id="w-1", request_key="k")
    shown = _run("weddings", "show", "w-1")
    assert "suppliers: florist:s1 venue:s2" in shown
    assert "message m1: to[2J 16:00 (4 pending)" in shown
    assert "vendor emergency 1: open" in shown
    found = orjson.loads(_run("weddings", "show", "w-1", "--json"))
    assert [one["identifier"] for one in found["messages"]] == ["m1"]
    assert found["messages"][0]["states"] == {"pending": 4}
    assert [one["kind"] for one in found["emergencies"]] == ["vendor"]


def test_presence_says_how_many_suppliers_of_each_type_are_online() -> None:
    vendor = {"user_type": "vendor", "supplier_id": "s1", "supplier_type": "florist"}
    registry.open(connection("c1", user_id="u1", **vendor))
    registry.open(connection("c2", user_id="u2", **vendor))
    assert "suppliers: 1 of 1 florist, 0 of 1 venue" in _run("presence", "w-1")
    found = orjson.loads(_run("presence", "w-1", "--json"))
    assert found["suppliers"] == {"florist": [1, 1], "venue": [0, 1]}


def test_a_long_message_and_many_recipients_are_published_without_a_long_notification(heard: Any) -> None:
    for number in range(600):
        registry.open(connection(f"c{number}", user_id=f"a-guest-with-a-long-name-{number}"))
    with wakeups.hearing(messages.CHANNEL) as woken:
        _send(body="x" * 4_000, audience={"guests": True})
        assert woken(5) == [""]
        _send("short", key="m2")
        [payload] = woken(5)
    assert publishing.publish() == 2
    assert [(one, len(to)) for one, to in heard()] == [("m1", 604), ("m2", 4)]
    publishing.forward([payload])
    assert [one for one, _ in heard()] == ["m2"], "what comes twice is the same"


def test_who_sends_may_be_called_anything() -> None:
    assert _send(sender="a\0b\ud800").sender == "ab?"
    assert reading.show("m1").message.sender == "ab?"
