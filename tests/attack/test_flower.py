"""Flower: who may look, who may act, and what nobody may."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2 as httpx
import pytest

from tests import ROOT
from tests.conftest import LOGINS, URLS
from tests.made import eventually
from workers.access.rules.roles import Role
from workers.access.usecases import grants
from workers.processes import servers

OPERATOR, READER = ("operator", "a-long-pässword"), ("wächter", "another-password")
TOKEN = "a-token-for-prometheus"


@pytest.fixture(scope="module")
def flower(real_servers: list[servers.Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a Flower with an operator and a reader."""
    grants.apply(LOGINS)
    folder, port = tmp_path_factory.mktemp("flower"), servers.free_port()
    own = {name: grants.as_role(url, Role.OPERATOR, LOGINS) for name, url in URLS.items()}
    environment = os.environ | own | {
        "FLOWER_PORT": str(port),
        "FLOWER_BASIC_AUTH": ",".join(map(":".join, (OPERATOR, READER))),
        "FLOWER_READERS": READER[0],
        "FLOWER_METRICS_TOKEN": TOKEN,
        "FLOWER_DB": str(folder / "flower.db"),
    }  # fmt: skip
    command = [str(Path(sys.executable).parent / "celery"), "-A", "workers.app", "flower"]
    with subprocess.Popen(
        [*command, "--conf=workers/dashboard/flowerconfig.py"], cwd=ROOT, env=environment
    ) as process:
        url = f"http://127.0.0.1:{port}"

        def _lives() -> bool:
            with suppress(httpx.HTTPError):
                return httpx.get(f"{url}/healthcheck").status_code == 200
            return False

        assert eventually(_lives, within=40)
        yield url
        process.terminate()


def status(url: str, login: tuple[str, str] | None, method: str = "GET", **more: object) -> int:
    auth = httpx.BasicAuth(login[0].encode(), login[1].encode()) if login else None
    return int(httpx.request(method, url, auth=auth, **more).status_code)  # type: ignore[arg-type]


def test_nobody_looks_without_a_login_whatever_letters_it_has(flower: str) -> None:
    for path in ("/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks", "/metrics"):
        assert status(flower + path, None) == 401
        for wrong in (("operator", "x"), ("wächter", "ü"), ("", ""), ("öperator", "a-long-pässword")):
            assert status(flower + path, wrong) == 401
    for login in (OPERATOR, READER):
        assert status(f"{flower}/workers", login) == 200
    for header in ("Basic", "Basic !!!", "Basic \u00e4", "Bearer x", "Basic " + "A" * 5000):
        with suppress(UnicodeEncodeError):
            assert httpx.get(flower, headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/worker/shutdown/steady@x", "/api/worker/pool/restart/steady@x",
        "/api/worker/pool/grow/steady@x",
        "/api/worker/pool/shrink/steady@x", "/api/worker/pool/autoscale/steady@x",
        "/api/worker/queue/add-consumer/steady@x", "/api/worker/queue/cancel-consumer/steady@x",
        "/api/task/async-apply/caching.warm_up", "/api/task/abort/x", "/api/task/timeout/x",
        "/api/task/rate-limit/x", "/api/task/revoke/x", "/api/task/apply/caching.warm_up",
        "/api/task/send-task/caching.warm_up",
    ],
)  # fmt: skip
def test_a_reader_changes_nothing(flower: str, path: str) -> None:
    assert status(flower + path, READER, "POST", json={}) == 403
    assert status(flower + path, None, "POST", json={}) == 401


def test_nobody_sends_a_task_that_services_may_not_send(flower: str) -> None:
    for kind in ("apply", "send-task"):
        assert status(f"{flower}/api/task/{kind}/caching.warm_up", OPERATOR, "POST", json={}) == 403
    for task in ("retention.forget", "scaling.decide", "celery.backend_cleanup", "os.system"):
        assert status(f"{flower}/api/task/async-apply/{task}", OPERATOR, "POST", json={}) == 403
    offered = f"{flower}/api/task/async-apply/caching.warm_up"
    assert status(offered, OPERATOR, "POST", json={"kwargs": {"wedding_id": "w-404"}}) == 200


def test_its_metrics_want_a_token_and_its_pages_say_who_may_frame_them(flower: str) -> None:
    known = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{flower}/metrics", headers=known).status_code == 200
    assert status(f"{flower}/metrics", READER) == 200
    page = httpx.get(f"{flower}/workers", auth=httpx.BasicAuth(OPERATOR[0].encode(), OPERATOR[1].encode()))
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
