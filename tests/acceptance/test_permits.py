"""Permits live and die: they expire on an open socket, are renewed, are taken back; what holders may say."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from urllib.parse import urlencode

import httpx2 as httpx
import pytest
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from demo import phoenix
from tests.acceptance.conftest import System
from tests.made import eventually
from workers.cli import main as cli
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.connections.store import revocations

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(120)]

TOPIC = "realtime:wedding:w-1"


@contextmanager
def socket(system: System, token: str) -> Iterator[ClientConnection]:
    asked = urlencode({"apikey": token, "region": "us-south", "vsn": "1.0.0"})
    with connect(f"{system.gateway}/websocket?{asked}", ping_interval=None) as one:
        yield one


def ask(one: ClientConnection, event: str, payload: dict[str, object], topic: str = TOPIC) -> tuple[str, str]:
    """Send a frame; return how it is answered, and why not."""
    one.send(phoenix.Frame(topic, event, payload, "7", "1").text())
    while frame := phoenix.read(one.recv(timeout=10)):
        if frame.event == phoenix.REPLY and frame.ref == "7":
            return frame.payload["status"], str(frame.payload["response"].get("reason", ""))
    raise AssertionError("no answer")


def ended(one: ClientConnection, within: float) -> str:
    """Return why a socket was closed; empty while it is open."""
    try:
        while True:
            one.recv(timeout=within)
    except TimeoutError:
        return ""
    except ConnectionClosed as closed:
        return closed.rcvd.reason if closed.rcvd else "broken"


def guest(user: str, **facts: object) -> str:
    return permits.issue(Permit(user, "guest", "w-1"), **facts)  # type: ignore[arg-type]


def test_a_socket_ends_with_its_permit_unless_that_is_renewed(system: System) -> None:
    ada, ben = (guest(name, valid_for=timedelta(seconds=4)) for name in ("ada", "ben"))
    with socket(system, ada) as ends, socket(system, ben) as stays:
        assert ask(stays, phoenix.JOIN, {}) == ("ok", "")
        for wrong in (guest("ada"), permits.issue(Permit("ben", "planner", "w-1")), "nonsense", ""):
            assert ask(stays, phoenix.ACCESS_TOKEN, {"access_token": wrong})[0] == "error"
        assert ask(stays, phoenix.ACCESS_TOKEN, {"access_token": guest("ben")}) == ("ok", "")
        assert ended(ends, 10) == "token_expired"
        assert ask(stays, phoenix.HEARTBEAT, {}, "phoenix")[0] == "ok"
        assert ended(stays, 2) == ""


@pytest.mark.parametrize(("whose", "id"), [("user", "cleo"), ("wedding", "w-1"), ("key", "test")])
def test_what_is_taken_back_ends_at_once_and_lets_nobody_in(system: System, whose: str, id: str) -> None:
    def _run(*words: str) -> str:
        return (
            CliRunner()
            .invoke(cli.wedops, ["permit", *words, f"--{whose}", id], catch_exceptions=False)
            .output
        )

    old, url = guest("cleo"), f"http://127.0.0.1:{os.environ['API_PORT']}/v1/route?region=us-south"
    try:
        with socket(system, old) as one:
            assert ask(one, phoenix.JOIN, {}) == ("ok", "")
            assert "are revoked" in _run("revoke", "--reason", "lost phone")
            assert ended(one, 10) == "token_revoked"
        with pytest.raises(InvalidStatus) as refused, socket(system, old):
            pass
        assert refused.value.response.status_code == 401
        assert b"token_revoked" in (refused.value.response.body or b"")
        header = {"Authorization": f"Bearer {old}"}
        assert eventually(lambda: httpx.get(url, headers=header).json().get("reason") == "token_revoked")
        assert id in CliRunner().invoke(cli.wedops, ["permit", "revoked"]).output
    finally:
        assert "are good again" in _run("lift")
    assert revocations.read() == []
    assert eventually(lambda: httpx.get(url, headers=header).status_code == 200)


def test_guests_say_nothing_of_the_day_and_are_present_as_themselves(system: System) -> None:
    def _says(one: ClientConnection, event: str, topic: str = TOPIC) -> str:
        return ask(one, phoenix.BROADCAST, {"type": "broadcast", "event": event, "payload": {}}, topic)[1]

    config = {"config": {"broadcast": {"ack": True}}}
    with ExitStack() as stack:
        one = stack.enter_context(socket(system, guest("dan")))
        planner = stack.enter_context(socket(system, permits.issue(Permit("pat", "planner", "w-1"))))
        vendor = stack.enter_context(socket(system, permits.issue(Permit("vic", "vendor", "w-1", "s1"))))
        for each in (one, planner, vendor):
            for topic in (TOPIC, "realtime:timeline:w-1"):
                assert ask(each, phoenix.JOIN, config, topic)[0] == "ok"
        assert _says(one, "photo") == ""
        assert "guests may not broadcast" in _says(one, "timeline_update")
        assert "guests may not broadcast" in _says(one, "photo", "realtime:timeline:w-1")
        assert _says(vendor, "timeline_update") == _says(vendor, "done", "realtime:timeline:w-1") == ""
        assert "couple and planner" in _says(vendor, "emergency")
        assert _says(planner, "emergency") == ""
        posing = {"config": {"presence": {"key": "pat"}}}
        assert "your own user id" in ask(one, phoenix.JOIN, posing, "realtime:photos:w-1")[1]
        own = {"config": {"presence": {"key": "dan"}}}
        assert ask(one, phoenix.JOIN, own, "realtime:photos:w-1") == ("ok", "")
