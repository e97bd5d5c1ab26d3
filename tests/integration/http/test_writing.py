"""Writes by HTTP: once a key, from the version that was seen, row by row, written down."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from workers.access.rules.callers import SCOPES
from workers.access.rules.roles import Role
from workers.access.usecases import audit, callers
from workers.access.usecases.callers import Asked
from workers.commands.usecases import answering, commands
from workers.foundation import clock, database
from workers.foundation.claims import EVERYTHING, claiming
from workers.http.routes import api
from workers.weddings.rules.calendar import VenueType
from workers.weddings.store import versions
from workers.weddings.usecases.happened import happened

ROW: dict[str, Any] = {
    "id": "w-1", "start": "2027-06-12T15:00", "end": "2027-06-12T23:00", "zone": "America/New_York",
    "guest_count": 120, "venue_type": "garden", "region": "us-northeast",
    "suppliers": [{"id": "s1", "type": "florist", "until": "2027-06-12T16:30"}, {"id": "s2"}],
    "timeline": {"ceremony": "15:00"}, "geo": "40.7128;-74.0060",
}  # fmt: skip
SHORT = timedelta(minutes=5)


@pytest.fixture
def web(enter: Callable[[Role], None]) -> Iterator[TestClient]:
    token = callers.add("planner", Asked(tuple(SCOPES)), by="ops", now=clock.machine_now())
    enter(Role.API)
    with TestClient(api, raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def _known(id: str = "w-1") -> Any:
    with claiming(EVERYTHING), database.transaction() as db:
        return versions.with_versions(db, [id]).get(id)


def _journal() -> list[Any]:
    from tests.conftest import URLS

    with pytest.MonkeyPatch.context() as patch:
        for name, url in URLS.items():
            patch.setenv(name, url)
        with database.transaction() as db:
            return list(db.execute(text("SELECT name, body FROM journal ORDER BY tx, id")))


def _bulk(web: TestClient, *rows: Any, key: str | None = None) -> Any:
    return web.post("/v1/weddings", json={"weddings": rows}, headers={"Idempotency-Key": key} if key else {})


def test_each_row_has_its_result_and_a_bad_one_keeps_no_other_out(web: TestClient) -> None:
    odd = [
        ROW | {"id": "w-2", "guest_count": -1},
        ROW | {"id": "w-3", "zone": "Nowhere/Else"},
        ROW | {"id": "w-4", "start": "2027-03-14T02:30", "end": "2027-03-14T09:00"},
        ROW | {"id": "w-5", "colour": "blue"},
        {"id": "w-6"},
        "nonsense",
        ROW,
        ROW | {"id": "ops"},
    ]
    answer = _bulk(web, ROW, *odd, ROW | {"id": "w-7"})
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [one["outcome"] for one in results] == ["added", *["refused"] * 8, "added"]
    said = [one["problem"] for one in results[1:-1]]
    parts = (
        "guest_count",
        "no IANA zone",
        "does not exist",
        "colour",
        "start",
        "row",
        "is in the request twice",
        "reserved",
    )
    for problem, part in zip(said, parts, strict=True):
        assert part in problem
    assert answer.json()["follows"]["floors"] == [
        {"region": "us-northeast", "begins": "2027-06-12T15:00:00Z", "ends": "2027-06-13T06:00:00Z"}
    ]
    wedding, _ = _known()
    assert (wedding.guest_count, wedding.venue_type, wedding.supplier_ids) == (
        120,
        VenueType.GARDEN,
        ("s1", "s2"),
    )
    assert wedding.duties["s1"] == {"type": "florist", "until": "2027-06-12T16:30"}
    assert _bulk(web, ROW).json()["results"][0]["outcome"] == "unchanged"


def test_what_changed_is_in_the_journal_and_who_had_it_done_is_written_down(web: TestClient) -> None:
    _bulk(web, ROW)
    _bulk(web, ROW | {"guest_count": 130})
    events = [body for name, body in _journal() if name == "weddings.changed"]
    assert [(one["is_new"], one["by"]) for one in events] == [(True, "api/planner"), (False, "api/planner")]
    assert events[1]["fields"] == ["guest_count"]
    with pytest.MonkeyPatch.context() as patch:
        from tests.conftest import URLS

        for name, url in URLS.items():
            patch.setenv(name, url)
        deeds = audit.deeds(clock.machine_now() - SHORT, who="api/planner", limit=10)
        with database.transaction() as db:
            [told] = happened(db, clock.now() - SHORT, limit=10)
    assert (told.what, told.by) == ("w-1 changed: guest_count", "api/planner")
    assert [(one.action, one.outcome) for one in deeds] == [("POST /v1/weddings", "done")] * 2
    assert deeds[0].login.startswith("key ")


def test_the_same_key_does_it_once_and_is_answered_the_same(web: TestClient) -> None:
    first = _bulk(web, ROW, key="order-1")
    again = _bulk(web, ROW, key="order-1")
    assert (first.content, first.status_code) == (again.content, again.status_code)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    other = _bulk(web, ROW | {"guest_count": 5}, key="order-1")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert _known()[0].guest_count == 120
    assert len([name for name, _ in _journal() if name == "weddings.changed"]) == 1


def test_what_was_refused_leaves_its_key_free(web: TestClient) -> None:
    head = {"Idempotency-Key": "k", "If-Match": '"7"'}
    assert web.put("/v1/weddings/w-1", json=ROW, headers=head).status_code == 412
    assert web.put("/v1/weddings/w-1", json=ROW, headers=head | {"If-Match": '"0"'}).status_code == 201


def test_a_key_that_is_at_work_is_busy(web: TestClient) -> None:
    with database.transaction() as db:
        assert answering.answers.hold(db, "planner", "order-1")
        busy = _bulk(web, ROW, key="order-1")
    assert (busy.status_code, busy.json()["code"]) == (409, "key_in_use")
    assert _bulk(web, ROW, key="order-1").status_code == 200


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 300])
def test_a_key_that_is_none_is_named(web: TestClient, key: str) -> None:
    answer = web.post("/v1/weddings", json={"weddings": []}, headers={"Idempotency-Key": key.encode()})
    assert answer.status_code == 422
    assert answer.json()["field"] == "Idempotency-Key"


def test_many_who_send_the_same_twice_have_it_done_once(web: TestClient) -> None:
    def _send(number: int) -> int:
        return int(_bulk(web, ROW | {"id": f"w-{number % 20}"}, key=f"k-{number % 20}").status_code)

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(_send, range(60)))
    assert set(statuses) <= {200, 409}
    events = [body["wedding_id"] for name, body in _journal() if name == "weddings.changed"]
    assert sorted(events) == sorted(f"w-{number}" for number in range(20))


def test_of_many_who_change_one_version_one_does(web: TestClient) -> None:
    etag = '"0"'
    for turn in range(5):

        def _change(guests: int, etag: str = etag) -> Any:
            row = ROW | {"guest_count": guests}
            return web.put("/v1/weddings/w-1", json=row, headers={"If-Match": etag})

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(_change, range(turn * 100, turn * 100 + 12)))
        won = [one for one in answers if one.status_code == (200 if turn else 201)]
        assert len(won) == 1, [one.text for one in answers]
        assert {one.status_code for one in answers} - {200, 201} == {412}
        etag = won[0].headers["ETag"]
        seen = web.get("/v1/weddings/w-1")
        assert seen.headers["ETag"] == etag
        assert seen.json()["guest_count"] in range(turn * 100, turn * 100 + 12)


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        ({}, 428, "precondition_missing"),
        ({"If-Match": "7"}, 422, "precondition_invalid"),
        ({"If-Match": '"x"'}, 422, "precondition_invalid"),
        ({"If-Match": '"99999999999999999999999"'}, 422, "precondition_invalid"),
        ({"If-Match": '"7"'}, 412, "wedding_changed_meanwhile"),
    ],
)
def test_a_change_goes_by_what_was_seen(
    web: TestClient, head: dict[str, str], status: int, code: str
) -> None:
    answer = web.put("/v1/weddings/w-1", json=ROW, headers=head)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert _known() is None


@pytest.mark.parametrize(
    ("start", "instants"),
    [
        ("2026-11-01T01:30", ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"]),
        ("2027-03-14T02:30", ["2027-03-14T06:30:00Z", "2027-03-14T07:30:00Z"]),
    ],
    ids=["twice", "never"],
)
def test_a_local_time_that_is_no_one_moment_is_refused_with_both(
    web: TestClient, start: str, instants: list[str]
) -> None:
    row = ROW | {"start": start, "end": start[:10] + "T20:00", "timeline": None, "suppliers": []}
    answer = web.put("/v1/weddings/w-1", json=row, headers={"If-Match": '"0"'})
    assert answer.status_code == 422
    assert (answer.json()["field"], answer.json()["instants"]) == ("start", instants)


def test_a_timeline_is_changed_from_the_version_that_was_seen(web: TestClient) -> None:
    _bulk(web, ROW)
    seen = web.get("/v1/weddings/w-1/timeline")
    head = {"If-Match": seen.headers["ETag"]}
    moved = web.put("/v1/weddings/w-1/timeline", json={"ceremony": "16:00"}, headers=head)
    assert moved.status_code == 200, moved.text
    assert moved.json()["moments"][0]["start"] == "2027-06-12T16:00"
    assert web.put("/v1/weddings/w-1/timeline", json={"ceremony": "17:00"}, headers=head).status_code == 412
    assert web.get("/v1/weddings/w-1/timeline").headers["ETag"] == moved.headers["ETag"]
    bad = web.put(
        "/v1/weddings/w-1/timeline", json={"ceremony": "soon"}, headers={"If-Match": moved.headers["ETag"]}
    )
    assert (bad.status_code, bad.json()["code"]) == (422, "timeline_refused")


FILE = (
    "id,start,end,zone,guest_count,venue_type,region\n"
    "w-5,2027-06-12T15:00,2027-06-12T23:00,America/New_York,5,garden,us-west\n"
    "w-6,2027-06-12T15:00,2027-06-12T23:00,America/New_York,many,garden,us-west\n"
)


def test_a_file_is_looked_at_first_and_taken_then(web: TestClient) -> None:
    said = web.post("/v1/weddings/import?dry_run=true", content=FILE.encode()).json()
    assert said["added"] == 1
    assert "guest_count" in said["refused"][0]
    assert _known("w-5") is None
    assert web.post("/v1/weddings/import", content=FILE.encode()).json()["added"] == 1
    assert _known("w-5")[0].guest_count == 5
    assert web.post("/v1/weddings/import", content=b"\x00\xff").status_code == 422


def test_pages_follow_each_other_without_gap_or_repeat(web: TestClient) -> None:
    rows = [ROW | {"id": f"w-{number:02}", "timeline": None} for number in range(25)]
    _bulk(web, *rows)
    found, cursor = [], ""
    while True:
        asked = {"from": "2027-06-01T00:00:00Z", "limit": "10", "cursor": cursor}
        page = web.get("/v1/weddings", params=asked).json()
        found += [one["id"] for one in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert found == [row["id"] for row in rows]
    for bad in ("nonsense", "WzFd", "W10=", "WyJ4IiwieCJd"):
        answer = web.get("/v1/weddings", params={"cursor": bad})
        assert (answer.status_code, answer.json()["field"]) == (422, "cursor"), bad


def test_what_is_asked_by_http_is_done_by_workers(web: TestClient) -> None:
    _bulk(web, ROW)
    head, storm = {"Idempotency-Key": "storm"}, {"kind": "weather"}
    opened = web.post("/v1/weddings/w-1/emergencies", json=storm, headers=head)
    assert (opened.status_code, opened.json()["state"]) == (202, "accepted"), opened.text
    assert web.post("/v1/weddings/w-1/emergencies", json=storm, headers=head).json() == opened.json()
    shown = web.get(f"/v1/requests/{opened.json()['key']}")
    assert shown.json()["task"] == "emergencies.open"
    path, said = "/v1/weddings/w-1/messages", {"headline": "At 16:00"}
    sent = web.post(path, json=said, headers={"Idempotency-Key": "m"})
    assert sent.status_code == 201, sent.text
    identifier = sent.json()["message"]["identifier"]
    seen = web.get(f"{path}/{identifier}").json()
    assert {one["recipient"] for one in seen["recipients"]} >= {"supplier:s1", "supplier:s2"}
    assert web.get(path).json()[0]["message"]["headline"] == "At 16:00"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nowhere", None, 404, "not_found"),
        ("DELETE", "/v1/weddings", None, 405, "method_not_allowed"),
        ("POST", "/v1/weddings", b"{", 422, "invalid"),
        ("POST", "/v1/weddings", b"[]", 422, "invalid"),
        ("GET", "/v1/weddings?limit=0", None, 422, "invalid"),
        ("GET", "/v1/weddings?from=2027-06-12", None, 422, "invalid"),
        ("GET", "/v1/weddings/..%2f", None, 404, "not_found"),
        ("GET", "/v1/weddings/%00", None, 422, "invalid"),
        ("GET", "/v1/alerts/99999999999999999999", None, 422, "invalid"),
        ("PUT", "/v1/weddings/w-2", b"{}", 422, "invalid"),
    ],
)
def test_what_can_not_be_is_a_problem_with_its_code(
    web: TestClient, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    head = {"If-Match": '"1"', "Content-Type": "application/json"}
    answer = web.request(method, path, content=body, headers=head)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_long_answers_are_packed(web: TestClient) -> None:
    _bulk(web, *(ROW | {"id": f"w-{number}"} for number in range(10)))
    answer = web.get("/v1/weddings?from=2027-06-01T00:00:00Z", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.json()["items"]) == 10


def test_a_large_file_is_taken_by_the_api_too(web: TestClient) -> None:
    head, row = FILE.splitlines()[:2]
    lines = [row.replace("w-5", f"w-{number}") for number in range(1_100)]
    answer = web.post("/v1/weddings/import", content="\n".join((head, *lines)).encode())
    assert answer.status_code == 200, answer.text
    assert answer.json()["added"] == 1_100
    assert _known("w-1099")


def test_who_changes_what_they_saw_keeps_the_timeline(web: TestClient) -> None:
    made = web.put("/v1/weddings/w-1", json=ROW, headers={"If-Match": '"0"'})
    assert made.status_code == 201, made.text
    seen = web.get("/v1/weddings/w-1")
    assert seen.json()["timeline"][0]["id"] == "ceremony"
    fewer = {name: value for name, value in ROW.items() if name != "timeline"} | {"guest_count": 90}
    changed = web.put("/v1/weddings/w-1", json=fewer, headers={"If-Match": seen.headers["ETag"]})
    assert changed.status_code == 200, changed.text
    assert web.get("/v1/weddings/w-1").json()["timeline"] == seen.json()["timeline"]
    emptied = fewer | {"timeline": []}
    web.put("/v1/weddings/w-1", json=emptied, headers={"If-Match": changed.headers["ETag"]})
    assert web.get("/v1/weddings/w-1").json()["timeline"] == []


@pytest.mark.parametrize(
    "odd",
    [
        {"start": "9999-12-31T23:59", "end": "9999-12-31T23:59"},
        {"start": "0001-01-01T00:00", "zone": "Asia/Tokyo"},
        {"zone": "Eastern Standard Time", "start": "2026-11-01T01:30", "end": "2026-11-01T09:00"},
        {"timeline": {"ceremony": 2**70}},
        {"timeline": {"\ud800": "15:00"}},
        {"timeline": {str(number): "15:00" for number in range(5_000)}},
        {"suppliers": [{"id": "s1", "until": "2027-06-12T16:30;s-99"}]},
        {"suppliers": [{"id": "s1"}, {"id": "s1", "type": "band"}]},
        {"region": "a\0b"},
        {"\ud800": 1},
        {"id": "\ud800"},
    ],
)
def test_a_row_that_no_database_keeps_is_refused_alone(web: TestClient, odd: dict[str, Any]) -> None:
    # As text: what can't be written as UTF-8 can be as an escape.
    body = json.dumps({"weddings": [ROW | odd, ROW | {"id": "w-2"}]}).encode()
    answer = web.post("/v1/weddings", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert [one["outcome"] for one in answer.json()["results"]] == ["refused", "added"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/weddings?region=%00", "/v1/weddings?supplier=%00", "/v1/weddings?from=9999-12-31T00:00:00Z",
        "/v1/requests/%00", "/v1/forecasts/%00", "/v1/weddings/w-1/messages/%00",
        "/v1/weddings?cursor=WyIyMDI3LTA2LTEyVDE1OjAwOjAwKzAwOjAwIiwiXHUwMDAwIl0=",
    ],
)  # fmt: skip
def test_what_no_database_keeps_is_never_our_fault(web: TestClient, path: str) -> None:
    _bulk(web, ROW)
    assert web.get(path).status_code in (200, 404, 422)


def test_a_command_leaves_once_its_row_is_there(web: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails after all leaves no message behind."""
    from workers.http import writing

    _bulk(web, ROW)

    def _fails(*_given: object, **_facts: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(writing.audit, "record_call", _fails)
    sent = []
    monkeypatch.setattr(commands, "_send", sent.append)
    head = {"Idempotency-Key": "storm"}
    answer = web.post("/v1/weddings/w-1/emergencies", json={"kind": "weather"}, headers=head)
    assert answer.status_code == 500
    assert sent == []
    assert web.get("/v1/requests/api/planner/storm").status_code == 404
