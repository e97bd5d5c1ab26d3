"""Receipts by HTTP, and messages by the broadcasts of a stock Supabase deployment."""

from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from tests.made import due_now, wedding
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.delivery.usecases import broadcasting, reading, sending
from workers.foundation import clock, database
from workers.http.routes import api
from workers.outbox import store as outbox
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("message")


@pytest.fixture
def message(world: object) -> None:
    with database.transaction() as db:
        duties = {"s1": {"type": "florist"}}
        soon = clock.now() + timedelta(hours=1)
        coming = [wedding(id, starts_at=soon, duties=duties) for id in ("w-1", "w-2")]
        weddings.upsert(db, coming, at=clock.now())
    _send("m1")


def _send(key: str, **fields: Any) -> None:
    given = {"wedding_id": "w-1", "headline": "at 16:00", "request_key": key}
    sending.send(given | fields, sender="test", now=clock.now(), machine=clock.machine_now())


@pytest.fixture
def web() -> Iterator[TestClient]:
    with TestClient(api) as client:
        yield client


def _post(web: TestClient, permit: str, identifier: str = "m1", state: str = "displayed") -> tuple[int, Any]:
    head = {"Authorization": f"Bearer {permit}"}
    answer = web.post(f"/v1/messages/{identifier}/receipts", json={"state": state}, headers=head)
    return answer.status_code, answer.json()


def _vendor(wedding_id: str = "w-1", supplier: str = "s1") -> str:
    return permits.issue(Permit("u1", "vendor", wedding_id, supplier, "florist"))


def test_who_has_a_message_says_so_with_a_permit(web: TestClient) -> None:
    assert _post(web, _vendor()) == (200, {"state": "displayed"})
    assert _post(web, _vendor(), state="delivered") == (200, {"state": "displayed"})
    assert _post(web, _vendor(), state="acknowledged") == (200, {"state": "acknowledged"})
    assert _post(web, permits.issue(Permit("u2", "planner", "w-1")), state="delivered")[0] == 200
    states = {one.recipient: (one.state, one.channel) for one in reading.show("m1").recipients}
    assert states["supplier:s1"] == ("acknowledged", "http")
    assert states["planner"] == ("delivered", "http")


@pytest.mark.parametrize(
    ("permit", "identifier", "status", "reason"),
    [
        (lambda: _vendor(supplier="s9"), "m1", 404, "receipt_not_yours"),
        (lambda: _vendor("w-2"), "m1", 404, "receipt_not_yours"),
        (lambda: permits.issue(Permit("u1", "vendor", "w-1")), "m1", 404, "receipt_not_yours"),
        (lambda: permits.issue(Permit("u1", "guest", "w-1")), "m1", 404, "receipt_not_yours"),
        (_vendor, "m9", 404, "receipt_not_yours"),
        (_vendor, "m'1", 404, "receipt_not_yours"),
        (lambda: "no.permit", "m1", 401, "token_invalid"),
        (lambda: "", "m1", 401, "token_missing"),
    ],
)
def test_a_receipt_for_somebody_elses_message_is_refused_and_changes_nothing(
    permit: Any, identifier: str, status: int, reason: str, web: TestClient
) -> None:
    code, body = _post(web, permit(), identifier)
    assert (code, body["reason"]) == (status, reason)
    assert {one.state for one in reading.show("m1").recipients} == {"pending"}


@pytest.mark.parametrize("state", ["sent", "pending", "seen", ""])
def test_a_state_that_nobody_may_say_is_refused_by_name(state: str, web: TestClient) -> None:
    code, body = _post(web, _vendor(), state=state)
    assert (code, body["reason"]) == (422, "invalid")
    assert "state" in body["detail"]


@pytest.fixture
def deployment() -> Iterator[tuple[str, list[Any], list[int]]]:
    """Yield the address of what takes broadcasts, what it got, and what it answers, in turn."""
    got, answers = list[Any](), list[int]()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.client_address[1], self.headers["apikey"], body["messages"]))
            self.send_response(answers.pop(0) if answers else 202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got, answers
    finally:
        server.shutdown()
        server.server_close()


def test_a_stock_deployment_broadcasts_it_on_a_connection_that_is_kept(
    deployment: tuple[str, list[Any], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, got, answers = deployment
    _send("before")
    broadcasting.broadcast(1)
    assert got == [], "nobody named a deployment"
    monkeypatch.setenv("SUPABASE_URL", url)
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "a-key")
    answers.append(500)
    _send("m2")
    broadcasting.broadcast(1)
    due_now()
    broadcasting.broadcast(1)
    _send("m3")
    broadcasting.broadcast(1)
    ports, keys, bodies = zip(*got, strict=True)
    assert len(set(ports)) == 1
    assert set(keys) == {"a-key"}
    sent = [{(one["topic"], one["event"], one["private"]) for one in some} for some in bodies]
    topics = {"wedding:w-1:couple", "wedding:w-1:florist", "wedding:w-1:planner", "wedding:w-1:supplier"}
    assert sent == [{(topic, "urgent", True) for topic in topics}] * 3, "and no guest hears of it"
    assert [some[0]["payload"]["identifier"] for some in bodies] == ["m2", "m2", "m3"]
    with database.transaction() as db:
        assert outbox.waiting(db, broadcasting.KIND) == []
