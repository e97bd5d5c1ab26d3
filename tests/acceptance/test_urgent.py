"""Urgent messages through every process, to official clients on real sockets."""

import json
import socket
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import timedelta
from time import sleep
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.sync.client import ClientConnection, connect

from demo import phoenix
from tests import ROOT
from tests.acceptance import javascript
from tests.acceptance.conftest import System, person, said
from tests.made import eventually, receiver, wedding
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.connections.keys import LEVELS, PHASES
from workers.delivery.usecases import reading, sending
from workers.emergencies.store import steps
from workers.foundation import clock, database, redis
from workers.notify import usecases as notify
from workers.notify.rules import Target
from workers.weddings.formats.rows import Reading
from workers.weddings.usecases import importing

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

TYPES = {"venue-1": "venue", "photo-1": "photographer", "band-1": "band", "florist-1": "florist"}
Person = AbstractContextManager["subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def _saturday(system: System) -> None:
    """Have weddings with four suppliers that begin in 12 minutes."""
    starts = clock.now() + timedelta(minutes=12)
    facts = {"supplier_ids": tuple(TYPES), "duties": {id: {"type": kind} for id, kind in TYPES.items()}}
    coming = [wedding(id, starts_at=starts, **facts) for id in ("urgent-1", "urgent-2")]
    importing.take(Reading(coming), now=clock.now())


def _permit(supplier: str, wedding_id: str) -> str:
    return permits.issue(Permit(f"user-{supplier}", "vendor", wedding_id, supplier, TYPES[supplier]))


def _python(system: System, supplier: str, wedding_id: str, *what: str) -> Person:
    topic = f"wedding:{wedding_id}"
    own = [system.gateway, _permit(supplier, wedding_id), topic, *what]
    return person([sys.executable, "-m", "tests.acceptance.supplier", *own])


def _javascript(system: System, supplier: str, wedding_id: str) -> Person:
    own = [system.gateway, _permit(supplier, wedding_id), f"wedding:{wedding_id}:{TYPES[supplier]}"]
    return person([*javascript.prepare(ROOT / "tests/acceptance/supplier.ts"), *own])


def _wedops(*words: str) -> str:
    command = [sys.executable, "-m", "tests.acceptance.wedops", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _send(fields: dict[str, Any]) -> None:
    sending.send(fields, sender="test", now=clock.now(), machine=clock.machine_now())


def _states(identifier: str) -> dict[str, str]:
    return {one.recipient.partition(":")[2]: one.state for one in reading.show(identifier).recipients}


def test_a_ceremony_is_moved_and_everybody_has_it_one_by_another_way(system: System) -> None:
    online = ("venue-1", "photo-1", "band-1")
    with ExitStack() as stack, receiver() as (url, got):
        notify.register(Target("florist-1", "urgent-1", "sms"), url)
        here = [stack.enter_context(_python(system, one, "urgent-1")) for one in online[:2]]
        here.append(stack.enter_context(_javascript(system, online[2], "urgent-1")))
        assert [said(one) for one in here] == ["joined"] * 3
        words = ("--moment", "ceremony", "--at", "2030-01-01T16:00", "--suppliers-only", "--key", "to-16")
        assert "message to-16 is on its way" in _wedops("messages", "send", "urgent-1", "at 16:00", *words)
        assert [said(one) for one in here] == ["shows 0 at 16:00"] * 3
        assert eventually(lambda: [_states("to-16")[one] for one in online] == ["acknowledged"] * 3)
        assert _states("to-16")["florist-1"] == "pending"
        assert eventually(lambda: got, within=20), "by her other channel"
        assert [title for _, title in got] == ["at 16:00"]
        florist = stack.enter_context(_python(system, "florist-1", "urgent-1"))
        assert [said(florist), said(florist)] == ["joined", "shows 0 at 16:00"], "and when she is back"
        assert eventually(lambda: _states("to-16")["florist-1"] == "acknowledged")
    shown = _wedops("messages", "show", "to-16")
    assert shown.count("acknowledged since") == 4
    assert "sms taken" in shown


def test_of_two_changes_in_a_row_the_second_wins(system: System) -> None:
    fields = {
        "wedding_id": "urgent-2",
        "audience": {"supplier_ids": ["venue-1"], "planner": False, "couple": False},
    }
    _send({**fields, "headline": "at 16:00", "request_key": "first"})
    update = {"msg_type": "Update", "references": ["first"], "headline": "at 17:00", "request_key": "second"}
    _send(fields | update)
    with _python(system, "venue-1", "urgent-2") as venue:
        assert [said(venue), said(venue)] == ["joined", "shows 1 at 17:00"]
        assert eventually(lambda: _states("second") == {"venue-1": "acknowledged"})
        assert _states("first") == {"venue-1": "superseded"}


def test_an_application_that_says_nothing_still_proves_that_it_got_it(system: System) -> None:
    with _python(system, "photo-1", "urgent-2", "only-look") as photographer:
        assert said(photographer) == "joined"
        own = {"supplier_ids": ["photo-1"], "planner": False, "couple": False}
        fields = {"wedding_id": "urgent-2", "headline": "look", "request_key": "look", "audience": own}
        _send(fields | {"status": "Exercise"})
        assert said(photographer) == "shows 0 look"
        assert eventually(lambda: _states("look") == {"photo-1": "delivered"})


def _address(system: System, permit: str) -> str:
    return f"{system.gateway}/websocket?{urlencode({'apikey': permit, 'region': 'us-northeast'})}"


def _slow(system: System) -> ClientConnection:
    """Return the connection of a band whose end has little room, as a phone's."""
    port = int(system.gateway.split(":")[2].split("/")[0])
    with_little_room = socket.socket()
    with_little_room.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    with_little_room.connect(("127.0.0.1", port))
    return connect(_address(system, _permit("band-1", "urgent-2")), sock=with_little_room, max_queue=1)


def test_what_is_urgent_passes_what_waits_for_a_slow_socket(system: System) -> None:
    """Of 30 photos of 8 kB the gateway hands over at most 25 kB before it; the other end holds some more."""
    topic, came = "realtime:wedding:urgent-2", list[str]()
    talker = permits.issue(Permit("talker", "guest", "urgent-2"))
    with _slow(system) as slow, connect(_address(system, talker)) as loud:
        for one in (slow, loud):
            one.send(phoenix.Frame(topic, phoenix.JOIN, {}, "1", "1").text())
            while json.loads(one.recv())["event"] != "presence_state":
                pass
        photo = {"type": "broadcast", "event": "photo", "payload": {"text": "x" * 8_000}}
        for _ in range(30):
            loud.send(phoenix.Frame(topic, phoenix.BROADCAST, photo).text())
            sleep(0.03)
        own = {"supplier_ids": ["band-1"], "planner": False, "couple": False}
        _send({"wedding_id": "urgent-2", "headline": "now", "request_key": "now", "audience": own})
        sleep(0.5)
        with suppress(TimeoutError):
            while True:
                came.append(json.loads(slow.recv(timeout=3))["payload"].get("event"))
    assert came.count("photo") > 20
    assert came.index("urgent") <= 10, "ahead of what waited in the gateway"
    assert eventually(lambda: _states("now") == {"band-1": "delivered"})


def test_a_weather_emergency_from_its_opening_to_its_end_with_one_step_escalated(system: System) -> None:
    with receiver() as (url, got), _python(system, "venue-1", "urgent-1") as venue:
        assert said(venue) == "joined"
        for recipient in ("planner", "contacts"):
            notify.register(Target(recipient, "urgent-1", "pager"), url)
        opened = _wedops("emergency", "open", "weather", "urgent-1")
        id = opened.partition("emergency ")[2].partition(":")[0]
        assert said(venue) == "shows 0 Weather: stand by", "by the protocol itself"
        first = f"weather emergency {id} at urgent-1: decide whether the ceremony moves under a roof"
        assert eventually(lambda: first in [title for _, title in got])
        _make_overdue(int(id))
        assert eventually(lambda: f"OVERDUE: {first}" in [title for _, title in got], within=30)
        assert "OVERDUE" in _wedops("emergency", "show", id)
        for number, what in (("1", "complete"), ("2", "start"), ("2", "complete"), ("3", "skip")):
            _wedops("emergency", "step", id, number, what, "--reason", "into the barn")
        assert _wedops("emergency", "close", id) == f"emergency {id} closed\n"
    shown = _wedops("timeline", "--wedding", "urgent-1")
    for what in (": step 1 overdue", ": step 1 completed (into the barn)", ": step 3 skipped", " closed"):
        assert f"emergency {id} (weather) at urgent-1{what}" in shown


def _make_overdue(emergency_id: int) -> None:
    """Have the five minutes of the first step pass."""
    with database.transaction() as db:
        past = clock.now() - timedelta(seconds=1)
        first = (steps.steps.c.emergency_id == emergency_id) & (steps.steps.c.number == 1)
        db.execute(steps.steps.update().where(first).values(due_at=past))


def test_the_emergency_mode_of_one_wedding_leaves_the_guests_of_others_alone(system: System) -> None:
    assert system.gateway
    _wedops("emergency-mode", "on", "--wedding", "urgent-1", "--reason", "uploads hang")
    try:
        phases = redis.connections().hgetall(PHASES)
        assert phases["urgent-1"].endswith("+emergency")
        assert not phases["urgent-2"].endswith("+emergency")
        levels = redis.connections().hgetall(LEVELS)
        own, other = (json.loads(levels[f"guest|fixed|{phases[id]}"]) for id in ("urgent-1", "urgent-2"))
        assert own["batch_ms"] > other["batch_ms"]
    finally:
        _wedops("emergency-mode", "off", "--wedding", "urgent-1")
