"""Where should I connect: asked with a permit, answered with a node."""

from urllib.parse import urlsplit

import pytest
import yaml
from fastapi.testclient import TestClient
from sqlalchemy import text

from tests import ROOT
from tests.made import NOON, scaled, wedding
from workers.balancing import store
from workers.balancing.store import Report
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.foundation import clock, database
from workers.http.routes import api
from workers.scaling.rules.orders import Kind, Order
from workers.scaling.store import orders
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


def _ask(permit: str, **words: str) -> tuple[int, dict[str, object]]:
    with TestClient(api) as web:
        answer = web.get(
            "/v1/route", params={"region": "east"} | words, headers={"Authorization": f"Bearer {permit}"}
        )
    return answer.status_code, answer.json()


def test_a_couple_gets_a_node_and_a_backup() -> None:
    for name in ("n1", "n2"):
        store.report(Report(name, "east", f"ws://{name}", 100, 0))
    permit = permits.issue(Permit("u1", "couple", "w-1"))
    status, answer = _ask(permit)
    assert status == 200
    assert answer == {"node": "n1", "url": "ws://n1", "wait_ms": 0, "backup": "n2", "backup_url": "ws://n2"}
    assert _ask(permit, avoid="n1")[1]["node"] == "n2"


def test_without_a_permit_or_a_node_or_with_a_bad_region_it_says_why() -> None:
    permit = permits.issue(Permit("u1", "guest", "w-1"))
    assert _ask("nonsense")[0] == 401
    assert _ask(permits.issue(Permit("u1", "guest")))[1]["reason"] == "wrong_wedding"
    status, answer = _ask(permit)
    assert (status, answer["reason"], answer["detail"]) == (503, "no_node", str(store.NoNode()))
    with TestClient(api) as web:
        unnamed = web.get("/v1/route", headers={"Authorization": f"Bearer {permit}"})
    said = unnamed.json()
    assert (unnamed.status_code, said["reason"], said["field"]) == (422, "invalid", "region")
    assert said["detail"] == "region: Field required"
    status, answer = _ask(permit, region="a{b}")
    assert (status, answer["reason"]) == (422, "report_refused")


def _desired(resource: str, **words: str) -> tuple[int, dict[str, object]]:
    with TestClient(api) as web:
        answer = web.get(f"/v1/desired/{resource}", params=words)
    return answer.status_code, answer.json()


def test_keda_asks_how_much_there_should_be() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding()], at=NOON)
        scaled(db, to=6)
    assert _desired("instances", region="us-northeast") == (200, {"desired": 6})
    trigger = yaml.safe_load((ROOT / "deploy/keda/metrics-api.yaml").read_text())["spec"]["triggers"][0][
        "metadata"
    ]
    with TestClient(api) as web:
        path = urlsplit(trigger["url"]).path
        assert web.get(path, params={"region": "us-northeast"}).json()[trigger["valueLocation"]] == 6
    # What never had to change, and what is unknown: KEDA keeps what there is.
    for resource, words in (
        ("connection_pool", {"region": "us-northeast"}),
        ("cache_mb", {}),
        ("instances", {}),
    ):
        status, answer = _desired(resource, **words)
        assert (status, answer["reason"]) == (404, "nothing_desired")
    with database.transaction() as db:
        orders.give(db, Order("us-northeast", Kind.SHADOW, "a test", "tester", clock.now()))
        shown = db.execute(text("SELECT region FROM keda_desired")).all()
    assert (shown, _desired("instances", region="us-northeast")[0]) == ([], 404)
    status, answer = _desired("horses")
    assert (status, answer["reason"]) == (422, "invalid")
