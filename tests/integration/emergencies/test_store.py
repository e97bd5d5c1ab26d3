"""Emergencies from their opening to their end, on real servers."""

import re
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner
from redis.exceptions import RedisError

from tests.made import NOON, wedding
from workers.caching import tasks as caching
from workers.cli.main import wedops
from workers.commands.store import requests as commands
from workers.commands.usecases import commands as usecases
from workers.connections.store import modes
from workers.delivery.usecases import reading as messages
from workers.emergencies import rules, tasks
from workers.emergencies.rules import EmergencyKind, Policy, StepState
from workers.emergencies.store import emergencies as store
from workers.emergencies.store import steps
from workers.emergencies.store.emergencies import EmergencyUnknown
from workers.emergencies.usecases import reading, running
from workers.emergencies.usecases.running import EmergencyNotOpen, ReasonMissing, StepSettled, StepsOpen
from workers.foundation import clock, database
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.journal import usecases as journal
from workers.notify import usecases as notify
from workers.notify.rules import Target
from workers.outbox import store as outbox
from workers.scaling.rules.orders import Kind
from workers.scaling.store import orders
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("calendar")

DUTIES = {"s1": {"type": "venue"}, "s2": {"type": "planner"}}


@pytest.fixture
def calendar(world: object) -> None:
    starts = clock.now() + timedelta(hours=1)
    with database.transaction() as db:
        weddings.upsert(db, [wedding(id, starts_at=starts, duties=DUTIES) for id in ("w-1", "w-2")], at=NOON)


def _open(kind: str = "venue", key: str = "k", wedding_id: str = "w-1") -> int:
    tasks.open_emergency(kind=kind, wedding_id=wedding_id, request_key=key)
    with database.transaction() as db:
        return next(one.id for one in store.active(db) if one.wedding_id == wedding_id and one.kind == kind)


def _states(id: int) -> list[str]:
    return [one.state for one in reading.show(id).steps]


def _told() -> list[str]:
    with database.transaction() as db:
        return outbox.waiting(db, "notification")


def _do(id: int, number: int, state: StepState = StepState.COMPLETED, reason: str = "") -> None:
    running.change_step(id, number, state, by="ada", reason=reason, now=clock.now())


def _contact(recipient: str, wedding_id: str = "", channel: str = "sms") -> None:
    notify.register(Target(recipient, wedding_id, channel), "json://127.0.0.1:1/x")


def _close(*ids: int, **facts: Any) -> list[int]:
    return running.close(ids, **{"by": "ada", "now": clock.now()} | facts)


@pytest.mark.parametrize("kind", list(EmergencyKind))
def test_an_emergency_begins_its_protocol_once_and_is_told_once(kind: EmergencyKind) -> None:
    for _ in range(2):
        tasks.open_emergency(kind=str(kind), wedding_id="w-1", request_key="k")
    with database.transaction() as db:
        [(emergency, own)] = reading.active(db)
    assert (emergency.kind, emergency.wedding_id) == (kind, "w-1")
    assert [(one.what, one.owner, one.due_at - emergency.opened_at) for one in own] == [
        (one.what, one.owner, one.within) for one in rules.DEFAULT[kind]
    ]
    assert _told().count("emergency/k/operations/target-1") == 1
    for one, made in zip(own, rules.DEFAULT[kind], strict=True):
        assert one.state == ("completed" if made.action else "waiting" if made.after else "due")


def test_a_second_emergency_of_a_kind_joins_the_first_until_that_is_closed() -> None:
    for key in ("a", "b"):
        tasks.open_emergency(kind="venue", wedding_id="w-1", request_key=key)
    tasks.open_emergency(kind="vendor", wedding_id="w-1", request_key="c")
    with database.transaction() as db:
        assert [one.kind for one in store.active(db)] == ["vendor", "venue"]
        effects = [commands.find(db, key).effect for key in "abc"]
        assert effects == ["emergency 1", "emergency 1", "emergency 3"]
    assert sorted(_close(wedding_id="w-1", reason="false alarm")) == [1, 3]
    assert _open("venue", "d") == 4


def test_a_key_is_bound_to_what_was_first_asked_under_it_whichever_way_it_came() -> None:
    tasks.open_emergency(kind="venue", wedding_id="w-1", request_key="k")
    tasks.open_emergency(kind="venue", wedding_id="w-2", request_key="k")
    caching.warm_up(wedding_id="w-1", request_key="k")
    fields = {"kind": "venue", "wedding_id": "w-2", "request_key": "k"}
    with pytest.raises(usecases.RequestKeyReused, match="was used for something else"):
        usecases.accept("emergencies.open", fields, caller="ada")
    with database.transaction() as db:
        assert [(one.wedding_id, one.kind) for one in store.active(db)] == [("w-1", "venue")]
        assert commands.find(db, "k").state == "done"


def test_the_owner_of_a_step_is_told_when_it_is_due_and_not_before() -> None:
    _contact("s1")
    _contact("planner", "w-1", "pager")
    id = _open()
    assert f"emergency/{id}/1/venue/s1/sms" in _told()
    assert not [key for key in _told() if key.startswith(f"emergency/{id}/2/")]
    _do(id, 1)
    assert f"emergency/{id}/2/planner/planner/pager" in _told()
    assert _states(id) == ["completed", "due", "waiting", "completed"]


def test_who_has_no_address_is_told_by_the_weddings_contacts_or_by_operations() -> None:
    id = _open()
    assert f"emergency/{id}/1/venue/operations/target-1" in _told()
    _contact("contacts", "w-2")
    other = _open(wedding_id="w-2", key="k2")
    assert f"emergency/{other}/1/venue/contacts/sms" in _told()


def test_a_step_is_started_completed_and_skipped_with_a_reason_once() -> None:
    id = _open()
    _do(id, 1, StepState.STARTED)
    _do(id, 1, StepState.STARTED)
    assert _states(id)[0] == "started"
    with pytest.raises(ReasonMissing, match="--reason"):
        _do(id, 1, StepState.SKIPPED)
    _do(id, 1, StepState.SKIPPED, "the venue answers by itself")
    for state in (StepState.COMPLETED, StepState.STARTED):
        with pytest.raises(StepSettled, match="skipped already"):
            _do(id, 1, state)
    for wrong, says in (((id, 9), "has no step 9"), ((id + 9, 1), f"has the id {id + 9}")):
        with pytest.raises(ExpectedError, match=says):
            _do(*wrong)
    changes = [(one.what, one.step, one.by, one.reason) for one in reading.show(id).changes]
    assert ("skipped", 1, "ada", "the venue answers by itself") in changes
    assert [what for what, step, *_ in changes if step == 1] == ["due", "started", "skipped"]


def test_a_step_that_is_given_to_somebody_is_theirs_and_they_are_told() -> None:
    _contact("bea")
    id = _open()
    running.reassign(id, 1, "bea", by="ada", now=clock.now())
    assert [key for key in _told() if key.startswith(f"emergency/{id}/1/bea/reassigned-")]
    assert reading.show(id).steps[0].owner == "bea"
    running.reassign(id, 3, "bea", by="ada", now=clock.now())
    assert not [key for key in _told() if key.startswith(f"emergency/{id}/3/")], "it is not due"


def _late(id: int, number: int) -> Moment:
    return reading.show(id).steps[number - 1].due_at


def test_a_deadline_that_passes_is_told_step_by_step_and_each_once() -> None:
    _contact("s1")
    _contact("contacts", "w-1")
    _contact("operations-lead")
    id, policy = _open(), Policy()
    due = _late(id, 1)
    told = []
    for seconds in (-1, 0, 0, 119, 120, 299, 300, 9_999):
        before = set(_told())
        running.escalate(policy, now=Moment(due + timedelta(seconds=seconds)))
        told.append(sorted(key.removeprefix(f"emergency/{id}/1/venue/") for key in set(_told()) - before))
    assert told[:4] == [[], ["overdue-1/contacts/sms", "overdue-1/s1/sms"], [], []]
    assert told[4:6] == [["overdue-2/operations/target-1"], []]
    assert told[6:] == [["overdue-3/operations-lead/sms"], []]
    assert [one.what for one in reading.show(id).changes].count("overdue") == 1


def test_what_is_settled_or_waits_or_is_closed_is_never_overdue() -> None:
    id = _open()
    later = Moment(clock.now() + timedelta(days=1))
    _do(id, 1)
    _do(id, 2)
    assert running.escalate(Policy(), now=later) == 1, "the third one"
    assert running.escalate(Policy(), now=later) == 0
    other = _open("vendor", "k2")
    _close(other, reason="false alarm")
    assert running.escalate(Policy(), now=later) == 0


def test_an_emergency_is_closed_once_its_mandatory_steps_are_settled_or_with_a_reason() -> None:
    id = _open()
    _do(id, 1)
    with pytest.raises(StepsOpen, match="2: choose another room or place; 3: tell every supplier"):
        _close(id)
    _do(id, 2)
    _do(id, 3, StepState.SKIPPED, "nobody moves")
    assert _close(id) == [id]
    for _ in range(2):
        with pytest.raises(EmergencyNotOpen):
            _close(id)
    with pytest.raises(EmergencyNotOpen):
        _do(id, 2)
    other, more = _open("vendor", "k2"), _open("weather", "k3")
    with pytest.raises(EmergencyUnknown, match="99"):
        _close(other, more, 99, reason="all")
    assert _close(other, more, reason="all") == [other, more]


def test_a_technical_emergency_holds_capacity_and_puts_the_weddings_guests_last_until_it_ends() -> None:
    id = _open("technical")
    with database.transaction() as db:
        held = orders.active(db, at=clock.now())["us-northeast"][Kind.SUSPEND_SCALE_IN]
    assert (held.requested_by, held.reason) == ("emergencies", "technical emergency at w-1")
    assert [(one.scope, one.owner) for one in modes.active().values()] == [("wedding:w-1", "emergencies")]
    _close(id, reason="mended")
    with database.transaction() as db:
        assert orders.active(db, at=clock.now()).get("us-northeast", {}) == {}
    assert modes.active() == {}


def test_what_somebody_else_ordered_is_left_to_them() -> None:
    modes.begin("wedding:w-1", "ada", "storm", 600)
    with database.transaction() as db:
        own = orders.Order("us-northeast", Kind.SUSPEND_SCALE_IN, "storm", "ada", clock.now())
        orders.give(db, own)
    _close(_open("technical"), reason="mended")
    with database.transaction() as db:
        held = orders.active(db, at=clock.now())["us-northeast"][Kind.SUSPEND_SCALE_IN]
    assert held.requested_by == "ada"
    assert modes.active()["wedding:w-1"].owner == "ada"


def test_a_weather_emergency_sends_everybody_a_message_by_itself() -> None:
    id = _open("weather")
    [(message, counts)] = messages.of_wedding("w-1")
    assert (message.identifier, message.sender) == (f"emergency-{id}-4", f"emergency {id}")
    assert (message.body["headline"], counts) == ("Weather: stand by", {"pending": 4})
    _close(id, reason="the sun is back")
    assert messages.of_wedding("w-1")[0][1] == {"expired": 4}, "nobody hears of what is over"


def test_a_wedding_that_is_over_gets_no_message_and_its_emergency_is_run() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-3", starts_at=clock.now() - timedelta(days=3))], at=NOON)
    id = _open("weather", "k3", "w-3")
    step = reading.show(id).steps[3]
    assert ("no message was sent" in step.note, step.state) == (True, "due"), "it is its owner's"
    assert f"emergency/{id}/4/operations/operations/target-1" in _told()


def test_what_two_emergencies_hold_is_held_until_the_last_of_them_ends() -> None:
    first, second = _open("technical"), _open("technical", "k2", "w-2")
    _close(first, reason="mended")
    with database.transaction() as db:
        assert Kind.SUSPEND_SCALE_IN in orders.active(db, at=clock.now())["us-northeast"]
    assert list(modes.active()) == ["wedding:w-2"]
    _close(second, reason="mended")
    with database.transaction() as db:
        assert orders.active(db, at=clock.now()).get("us-northeast", {}) == {}
    assert modes.active() == {}


def test_an_emergency_is_run_while_redis_is_away_and_its_mode_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as away:
        away.setattr(modes, "active", lambda: (_ for _ in ()).throw(RedisError("away")))
        id = _open("technical")
        assert _states(id) == ["due", "completed", "waiting"]
    assert modes.active() == {}
    tasks.escalate()
    assert list(modes.active()) == ["wedding:w-1"]
    with monkeypatch.context() as away:
        away.setattr(modes, "active", lambda: (_ for _ in ()).throw(RedisError("away")))
        assert _close(id, reason="mended") == [id]
    tasks.escalate()
    assert modes.active() == {}


PROTOCOLS = """
[[protocol]]
kind = "venue"
planner = "s2"
[[protocol.step]]
what = "ring the fire brigade"
owner = "planner"
within_minutes = 2
"""


def test_protocols_are_loaded_and_hold_for_what_is_opened_later(tmp_path: Path) -> None:
    before = _open(wedding_id="w-2", key="k0")
    file = tmp_path / "protocols.toml"
    file.write_text(PROTOCOLS)
    words = ["emergency", "protocols", "load", str(file), "--reason", "fire drill"]
    refused = CliRunner().invoke(wedops, words)
    assert "nothing is changed while weddings are near" in str(refused.exception)
    CliRunner().invoke(wedops, ["gate", "settings", "--override", "30m", "--reason", "fire drill"])
    assert (
        CliRunner().invoke(wedops, words).output
        == "version 1 holds now: venue of s2; all other emergencies have the default\n"
    )
    found = reading.show(_open())
    assert ([one.what for one in found.steps], found.emergency.protocol_version) == (
        ["ring the fire brigade"], 1,
    )  # fmt: skip
    assert reading.show(before).emergency.protocol_version == 0
    shown = CliRunner().invoke(wedops, ["emergency", "protocols", "show"]).output
    assert "ring the fire brigade" in shown
    assert re.match(r"version 1, loaded by \S+, \d{4}-\d\d-\d\d \d\d:\d\dZ: fire drill\n", shown)
    file.write_text(PROTOCOLS.replace('planner = "s2"', 'region = "us-sout"'))
    assert "the calendar has us-northeast" in str(CliRunner().invoke(wedops, words).exception)
    file.write_text(PROTOCOLS.replace("venue", "flood"))
    assert "protocol.0.kind" in str(CliRunner().invoke(wedops, words).exception)


def test_an_emergency_is_run_by_commands() -> None:
    _contact("bea")
    id = str(_open("vendor"))

    def _run(*words: str) -> str:
        done = CliRunner().invoke(wedops, ["emergency", *words])
        return done.output + (str(done.exception) if done.exception else "")

    assert "vendor  w-1  open" in _run("list")
    assert "1. reach the missing supplier (planner, by " in _run("show", id)
    assert _run("step", id, "1", "start") == "step 1 is started\n"
    assert "needs a reason" in _run("step", id, "1", "skip")
    assert "--to" in _run("step", id, "1", "reassign")
    assert "nobody is called 'zzz'" in _run("step", id, "1", "reassign", "--to", "zzz")
    assert _run("step", id, "1", "reassign", "--to", "bea") == "step 1 is bea's\n"
    assert _run("step", id, "1", "complete", "--reason", "she was in traffic") == "step 1 is completed\n"
    assert "she was in traffic" in _run("show", id)
    assert "must be settled first" in _run("close", id)
    assert _run("close", id, "--reason", "all well") == f"emergency {id} closed\n"
    assert "vendor  w-1  closed" in _run("list", "--wedding", "w-1")
    assert "no emergency has the id 99" in _run("show", "99")
    assert "is not in the calendar" in _run("list", "--wedding", "nope")


def test_all_of_it_is_in_the_journal_with_who() -> None:
    heard = list[Any]()
    journal.read("test", lambda _db, some: heard.extend(some))
    id = _open("vendor")
    _do(id, 1)
    _close(id, reason="all well")
    journal.read("test", lambda _db, some: heard.extend(some))
    own = [one.body for one in heard if one.name == "emergencies.changed"]
    assert [(one["what"], one["step"], one["by"]) for one in own] == [
        ("opened", None, "broker"), ("due", 1, "protocol"), ("completed", 1, "ada"), ("due", 2, "protocol"),
        ("due", 3, "protocol"), ("closed", None, "ada"),
    ]  # fmt: skip


def test_two_who_complete_a_step_at_once_complete_it_once() -> None:
    id, said = _open(), list[str]()

    def _complete() -> None:
        try:
            _do(id, 1)
            said.append("done")
        except StepSettled:
            said.append("settled")

    threads = [Thread(target=_complete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said)[:1] == ["done"]
    changes = [one.what for one in reading.show(id).changes if one.step == 1]
    assert changes == ["due", "completed"]


def test_steps_that_a_worker_of_the_version_before_writes_are_due() -> None:
    id = _open("vendor")
    with database.transaction() as db:
        row = {"emergency_id": id, "number": 9, "what": "call", "owner": "planner", "due_at": clock.now()}
        db.execute(steps.steps.insert().values(row))
    assert reading.show(id).steps[-1].state == "due"
    _do(id, 9)
