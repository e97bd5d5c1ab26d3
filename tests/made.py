"""Things the tests are about, made with few words."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep
from typing import Any

import orjson

from tests import ROOT
from workers.caching.store.layers import layers
from workers.connections.store import registry as store
from workers.connections.store.registry import Connection
from workers.foundation import clock, database, redis
from workers.scaling.rules.actions import Decided
from workers.scaling.store import actions as scaling
from workers.weddings.rules.calendar import VenueType, Wedding

NOON = datetime(2026, 10, 10, 12, tzinfo=UTC)


def wedding(id: str = "w-1", *, starts_at: datetime = NOON, hours: float = 6, **facts: Any) -> Wedding:
    """Return a wedding in New York's zone, with 100 guests and 2 suppliers unless said otherwise."""
    ends_at = starts_at + timedelta(hours=hours)
    given = {
        "starts_local": starts_at.replace(tzinfo=None) - timedelta(hours=4),
        "ends_local": ends_at.replace(tzinfo=None) - timedelta(hours=4),
        "zone": "America/New_York",
        "guest_count": 100,
        "venue_type": VenueType.GARDEN,
        "region": "us-northeast",
        "supplier_ids": ("s1", "s2"),
    }
    return Wedding(id=id, starts_at=starts_at, ends_at=ends_at, **given | facts)


def connection(id: str = "c1", **facts: Any) -> Connection:
    """Return a guest's connection."""
    given = {
        "user_id": "u1",
        "user_type": "guest",
        "node": "n1",
        "region": "us-northeast",
        "wedding_id": "w-1",
    }
    return Connection(id=id, **given | facts)


def record(ref: str) -> dict[str, Any] | None:
    """Return all that the registry knows of a connection, or None."""
    tenant, user_id, _ = ref.split("/")
    return next((one for one in store.connections_of(tenant, user_id) if one["ref"] == ref), None)


def empty_servers() -> None:
    """Empty all three servers, but for schema and functions."""
    redis.registry().flushall()
    redis.cache_server().flushall()
    redis.cache_server().config_set("maxmemory", "256mb")
    redis.load_functions()
    layers().local.reset()
    store.publish_limits()
    with database.transaction() as db:
        names = ", ".join(table.name for table in database.metadata.sorted_tables)
        db.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


def due_now() -> None:
    """Have all waits of the outbox be over."""
    with database.transaction() as db:
        db.exec_driver_sql("UPDATE outbox SET due_at = now() - interval '1 second'")


def eventually(condition: Callable[[], object], *, within: float = 10.0) -> bool:
    """Tell whether `condition` becomes true within some seconds."""
    until = clock.stopwatch() + within
    while not (met := condition()) and clock.stopwatch() < until:
        sleep(0.05)
    return bool(met)


@contextmanager
def serving(answer: Callable[[str, Mapping[str, str], bytes], tuple[int, bytes]]) -> Iterator[int]:
    """Yield the port of a real HTTP server that answers as told: (path, headers, body) -> (status, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, body = answer(self.path, self.headers, said)
            self.send_response(status)
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def receiver(answer: int = 200, delay: float = 0.0) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the address of a real target that answers so, and the (key, title) pairs it was sent."""
    got: list[tuple[str, str]] = []

    def _take(_path: str, headers: Mapping[str, str], said: bytes) -> tuple[int, bytes]:
        got.append((headers["Idempotency-Key"], orjson.loads(said)["title"]))
        sleep(delay)
        return answer, b""

    with serving(_take) as port:
        yield f"json://127.0.0.1:{port}/", got


def run_python(code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a Python of its own, for what a process settles once."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def scaled(db: Any, **facts: Any) -> int:
    """Write an action of two instances more, unless said otherwise; return its id."""
    given = {
        "region": "us-northeast",
        "resource": "instances",
        "before": 2,
        "to": 4,
        "reason": "demand",
        "inputs": {},
    }
    [id] = scaling.record(db, [Decided(**given | {"requested_by": "test", "at": NOON} | facts)])
    return id
