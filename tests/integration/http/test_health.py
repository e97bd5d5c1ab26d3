"""Health is told at once, and truly: by what was written, not by what answered."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import make_url, text

from tests.made import eventually
from workers.foundation import clock, database, keys, redis
from workers.http.routes import api

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def web() -> Iterator[TestClient]:
    redis.registry().zadd(keys.BEATS, {"b": clock.epoch() + 4})
    with TestClient(api) as client:
        yield client


def _says(web: TestClient, path: str = "/readyz") -> dict[str, str]:
    begun = clock.stopwatch()
    answer = web.get(path)
    assert clock.stopwatch() - begun < 5
    parts: dict[str, str] = answer.json()
    assert (answer.status_code == 200) == (set(parts.values()) == {"ok"})
    return parts


def test_all_is_well(web: TestClient) -> None:
    assert eventually(lambda: set(_says(web).values()) == {"ok"})
    assert _says(web, "/healthz") == {"broker": "ok", "database": "ok"}


def test_a_broker_that_is_full_takes_nothing(web: TestClient) -> None:
    redis.registry().config_set("maxmemory", "1")
    try:
        assert eventually(lambda: _says(web, "/healthz")["broker"] == "takes nothing (OutOfMemoryError)")
    finally:
        redis.registry().config_set("maxmemory", "1gb")
    assert eventually(lambda: _says(web, "/healthz")["broker"] == "ok")


def test_a_database_that_only_reads_takes_nothing(web: TestClient) -> None:
    with database.transaction() as db:
        db.execute(text("ALTER ROLE wedops SET default_transaction_read_only = on"))
    database.engine().dispose()
    try:
        assert eventually(lambda: _says(web)["database"] == "takes nothing (writes_refused)")
    finally:
        with database.engine().connect() as db:
            db.execute(text("SET default_transaction_read_only = off"))
            db.commit()
            db.execute(text("ALTER ROLE wedops RESET default_transaction_read_only"))
            db.commit()
        database.engine().dispose()
    assert eventually(lambda: _says(web)["database"] == "ok")


@contextmanager
def _hanging() -> Iterator[int]:
    """Yield the port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("part", "variable"), [("broker", "WEDOPS_BROKER_URL"), ("database", "WEDOPS_DATABASE_URL")]
)
def test_a_server_that_hangs_holds_up_no_answer(
    monkeypatch: pytest.MonkeyPatch, part: str, variable: str
) -> None:
    with _hanging() as port:
        url = make_url(os.environ[variable]).set(port=port)
        monkeypatch.setenv(variable, url.render_as_string(hide_password=False))
        with TestClient(api) as web:
            begun = clock.stopwatch()
            assert eventually(lambda: _says(web, "/healthz")[part] in ("hangs", "unavailable"))
            assert clock.stopwatch() - begun < 5
            assert web.get("/livez").json() == {"status": "ok"}


def test_who_waits_and_does_not_move_is_told(web: TestClient) -> None:
    redis.registry().lpush("emergency", '{"headers": {"enqueued_at": 1}}')
    assert eventually(lambda: _says(web)["queues"] == "emergency does not move")
    redis.registry().zrem(keys.BEATS, "b")
    assert eventually(lambda: _says(web)["beat"] == "no beat runs")
