"""Every route of the API as every kind of caller, as the API's own role: who may what, of whose weddings."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from fastapi.testclient import TestClient

from tests.made import scaled, wedding
from workers.access.rules.callers import SCOPES
from workers.access.rules.roles import Role
from workers.access.usecases import callers
from workers.access.usecases.callers import Asked
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.emergencies.formats import OpenEmergency
from workers.emergencies.usecases import running
from workers.foundation import clock, database
from workers.foundation.moments import MachineMoment
from workers.foundation.penalties import Penalties
from workers.http import problems
from workers.http.routes import api
from workers.weddings.store import weddings

#: What stands in a path, of what is there.
PLACES = {
    "wedding_id": "w-1", "alert_id": "1", "action_id": "1", "emergency_id": "1", "region": "us-west",
    "identifier": "m", "key": "k",
}  # fmt: skip
#: What is sent; what a route refuses of it is no matter here.
BODIES: dict[str, Any] = {
    "POST /v1/weddings": {"weddings": []},
    "POST /v1/weddings/{wedding_id}/emergencies": {"kind": "weather"},
    "POST /v1/weddings/{wedding_id}/messages": {"headline": "The ceremony is at 16:00"},
}
#: These know their callers by something else: permits, tokens of metrics, of readers, of a Supabase node.
OTHERS = (
    "/v1/joining", "/v1/route", "/v1/messages/", "/v1/metrics", "/v1/prometheus", "/v1/supabase", "/v1/gate",
    "/v1/desired", "/v1/weddings/{wedding_id}/reports",
)  # fmt: skip


class Operation(NamedTuple):
    """A method of a path, and the scope that it wants."""

    name: str
    method: str
    path: str
    scope: str

    @property
    def is_of_wedding(self) -> bool:
        """Tell whether it is about one wedding."""
        return "{wedding_id}" in self.path


def _operations() -> Iterator[Operation]:
    for path, methods in api.openapi()["paths"].items():
        if not path.startswith("/v1") or path.startswith(OTHERS):
            continue
        for method, facts in methods.items():
            [scope] = [one for some in facts["security"] for one in some["HTTPBearer"]] or ["weddings:read"]
            yield Operation(f"{method.upper()} {path}", method.upper(), path, scope)


OPERATIONS = list(_operations())
NOW = clock.machine_now()


@pytest.fixture
def web(enter: Callable[[Role], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    now = clock.now()
    # Who tries bad tokens waits longer each time; here that is each test.
    monkeypatch.setattr(problems, "_penalties", Penalties())
    with database.transaction() as db:
        soon = now + timedelta(hours=2)
        own = wedding("w-1", starts_at=soon, supplier_ids=("s1",))
        weddings.upsert(db, [own, wedding("w-2", starts_at=soon, supplier_ids=("s9",))], at=now)
        scaled(db, at=now)
        running.open_emergency(db, OpenEmergency(kind="weather", wedding_id="w-1"), "storm", now=now)
    enter(Role.API)
    with TestClient(api, raise_server_exceptions=False) as client:
        yield client


def _key(enter: Callable[[Role], None], name: str, *scopes: str, **facts: Any) -> str:
    from tests.conftest import URLS

    with pytest.MonkeyPatch.context() as patch:
        # As an operator makes it.
        for variable, url in URLS.items():
            patch.setenv(variable, url)
        return callers.add(name, Asked(scopes or tuple(SCOPES), **facts), by="ops", now=NOW)


@pytest.fixture
def key(enter: Callable[[Role], None]) -> Callable[..., str]:
    return lambda name, *scopes, **facts: _key(enter, name, *scopes, **facts)


def _ask(web: TestClient, one: Operation, token: str | None) -> Any:
    path = one.path
    for place, value in PLACES.items():
        path = path.replace(f"{{{place}}}", value)
    head = {"If-Match": '"1"'} | ({"Authorization": f"Bearer {token}"} if token else {})
    return web.request(one.method, path, json=BODIES.get(one.name, {}), headers=head)


def test_each_scope_lets_somebody_do_something() -> None:
    assert {one.scope for one in OPERATIONS} == set(SCOPES)


ids = [one.name for one in OPERATIONS]


@pytest.mark.parametrize("one", OPERATIONS, ids=ids)
def test_nobody_comes_in_without_a_key_that_is_good(one: Operation, web: TestClient, key: Any) -> None:
    past = key("past", lasts=timedelta(seconds=1))
    revoked = key("revoked")
    with pytest.MonkeyPatch.context() as patch:
        from tests.conftest import URLS

        for variable, url in URLS.items():
            patch.setenv(variable, url)
        callers.revoke("revoked", by="ops", now=NOW)
    later = MachineMoment(NOW + timedelta(minutes=5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "machine_now", lambda: later)
        for token in (None, "nonsense", "wedops_000000000000_" + "a" * 43, past, revoked):
            answer = _ask(web, one, token)
            assert answer.status_code == 401, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"]


@pytest.mark.parametrize("one", OPERATIONS, ids=ids)
def test_nobody_does_what_their_scopes_do_not_say(one: Operation, web: TestClient, key: Any) -> None:
    others = [scope for scope in SCOPES if scope != one.scope]
    answer = _ask(web, one, key("other", *others))
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), answer.text
    assert one.scope in answer.json()["detail"]


@pytest.mark.parametrize("one", OPERATIONS, ids=ids)
def test_who_has_the_scope_comes_in_and_our_role_can_do_it(one: Operation, web: TestClient, key: Any) -> None:
    answer = _ask(web, one, key("planner", one.scope))
    assert answer.status_code in (200, 201, 202, 404, 412, 422), answer.text
    if answer.status_code in (404, 412, 422):
        assert answer.json()["code"] not in ("not_found", "wedding_unknown"), answer.text
    assert "RateLimit" in answer.headers


@pytest.mark.parametrize("one", OPERATIONS, ids=ids)
def test_of_anothers_wedding_nothing_is_shown_and_nothing_done(
    one: Operation, web: TestClient, key: Any
) -> None:
    stranger = key("stranger", supplier_ids=("s9",))
    answer = _ask(web, one, stranger)
    if one.is_of_wedding:
        assert answer.status_code in (403, 404, 412, 422), answer.text
        assert "w-1" not in answer.text.replace("wedding_id='w-1' is not in the calendar", "") or (
            answer.json()["code"] in ("wedding_changed_meanwhile", "invalid")
        )
    elif answer.status_code == 200:
        assert "w-1" not in answer.text
    else:
        assert answer.json()["code"] in ("caller_bounded", "request_unknown"), answer.text


@pytest.mark.parametrize("bounds", [{"supplier_ids": ("s1",)}, {"wedding_ids": ("w-1",)}])
def test_who_is_bounded_is_shown_their_own(bounds: Any, web: TestClient, key: Any) -> None:
    head = {"Authorization": f"Bearer {key('own', **bounds)}"}
    assert [one["id"] for one in web.get("/v1/weddings", headers=head).json()["items"]] == ["w-1"]
    for path in (
        "",
        "/timeline",
        "/readiness",
        "/mode",
        "/presence",
        "/emergencies",
        "/emergencies/1",
        "/messages",
    ):
        answer = web.get(f"/v1/weddings/w-1{path}", headers=head)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        assert web.get(f"/v1/weddings/w-2{path}", headers=head).status_code == 404


def test_a_permit_is_shown_its_wedding_as_before_and_is_no_key(web: TestClient) -> None:
    token = permits.issue(Permit("u1", "guest", "w-1"))
    head = {"Authorization": f"Bearer {token}"}
    assert web.get("/v1/weddings/w-1", headers=head).status_code == 200
    assert web.get("/v1/weddings/w-2", headers=head).status_code == 403
    for path in ("/v1/weddings", "/v1/alerts", "/v1/weddings/w-1/timeline"):
        assert web.get(path, headers=head).status_code == 401


def test_who_calls_too_often_waits(web: TestClient, key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_CALLS_PER_MINUTE", "3")
    head = {"Authorization": f"Bearer {key('busy')}"}
    monkeypatch.setattr(clock, "machine_now", lambda: NOW)
    answers = [web.get("/v1/queues", headers=head) for _ in range(5)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"minute";q=3;w=60'
    assert answers[3].json()["code"] == "too_many_calls"
    assert 0 < int(answers[3].headers["Retry-After"]) <= 60
    monkeypatch.setattr(clock, "machine_now", lambda: MachineMoment(NOW + timedelta(minutes=1)))
    assert web.get("/v1/queues", headers=head).status_code == 200


def test_of_rows_of_ones_own_and_of_others_the_own_are_taken(web: TestClient, key: Any) -> None:
    row = {
        "start": "2027-06-12T15:00", "end": "2027-06-12T23:00", "zone": "America/New_York", "guest_count": 1,
        "venue_type": "garden", "region": "us-west",
    }  # fmt: skip
    rows = [
        row | {"id": "w-1", "suppliers": [{"id": "s9"}]},
        row | {"id": "w-8", "suppliers": [{"id": "s9"}]},
        row | {"id": "w-9", "suppliers": [{"id": "s1"}]},
    ]
    head = {"Authorization": f"Bearer {key('band', supplier_ids=('s9',))}"}
    results = web.post("/v1/weddings", json={"weddings": rows}, headers=head).json()["results"]
    assert [one["outcome"] for one in results] == ["refused", "added", "refused"]
    assert "not shown" in results[0]["problem"]
