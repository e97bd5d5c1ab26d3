"""Stock Supabase nodes: their metrics, scraped or pushed, fill nodes, tenants and the regions' rows."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from fastapi.testclient import TestClient

from workers.balancing import keys, store, tasks, usecases
from workers.balancing.adapters import supabase
from workers.connections import tasks as connections
from workers.foundation import clock, database, redis
from workers.http.routes import api
from workers.snapshots import store as snapshots
from workers.snapshots.rules import Snapshot

pytestmark = pytest.mark.usefixtures("world")

SECRET = "m" * 40
PAGE = """\
# HELP realtime_connections_connected The node total count of connected clients for a tenant.
# TYPE realtime_connections_connected gauge
realtime_connections_connected{{id="1",tenant="t1",region="us-east-1",host="10.0.0.1"}} {t1}
realtime_connections_connected{{id="2",tenant="t1",region="us-east-1",host="10.0.0.1"}} 5
realtime_connections_connected{{id="1",tenant="t2",region="us-east-1",host="10.0.0.1"}} 30
# TYPE realtime_channel_events counter
realtime_channel_events{{id="1",tenant="t1",region="us-east-1",host="10.0.0.1"}} {events}
# TYPE realtime_channel_error counter
realtime_channel_error{{code="RateLimit",region="us-east-1",host="10.0.0.1"}} {errors}
# TYPE realtime_channel_input_bytes counter
realtime_channel_input_bytes{{region="us-east-1",host="10.0.0.1"}} {events}
# TYPE realtime_channel_output_bytes counter
realtime_channel_output_bytes{{region="us-east-1",host="10.0.0.1"}} {events}
# TYPE osmon_cpu_util gauge
osmon_cpu_util{{region="us-east-1",host="10.0.0.1"}} 62.5
# TYPE osmon_ram_usage gauge
osmon_ram_usage{{region="us-east-1",host="10.0.0.1"}} 40.0
# TYPE realtime_rpc histogram
realtime_rpc_bucket{{le="10"}} 4
realtime_rpc_sum 12
realtime_rpc_count 4
"""


def _page(t1: int = 100, events: int = 1000, errors: int = 3) -> str:
    return PAGE.format(t1=t1, events=events, errors=errors)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Serve a page as a node does, to who shows a token of its secret; the list's only entry is the page."""
    pages = [_page()]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                jwt.decode(self.headers["Authorization"].removeprefix("Bearer "), SECRET, ["HS256"])
                status, body = 200, pages[0]
            except jwt.InvalidTokenError:
                status, body = 403, "forbidden"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SUPABASE_URLS", f"http://127.0.0.1:{server.server_port}/metrics")
    monkeypatch.setenv("SUPABASE_JWT_SECRET", SECRET)
    yield pages
    server.shutdown()
    server.server_close()


def _row() -> Snapshot:
    with database.transaction() as db:
        [row] = snapshots.latest(db, since=clock.now().replace(year=2020))
    return row


def test_a_scrape_fills_node_tenants_and_the_regions_row(node: list[str]) -> None:
    tasks.scrape()
    [known] = store.nodes()
    assert (known.name, known.region, known.connections, known.capacity) == (
        "10.0.0.1",
        "us-east-1",
        135,
        10_000,
    )
    assert (known.cpu, known.memory) == (0.625, 0.4)
    assert store.tenants() == {"t1": 105, "t2": 30}
    assert (_row().connections, _row().messages) == (135, 0)
    node[0] = _page(t1=50, events=1500, errors=4)
    tasks.scrape()
    assert (_row().connections, _row().messages, _row().errors, _row().bytes) == (85, 500, 1, 1000)
    # A node that started anew counts from nothing.
    node[0] = _page(events=20, errors=0)
    tasks.scrape()
    assert (_row().messages, _row().errors) == (20, 0)


def test_the_registry_writes_no_row_for_a_region_that_its_nodes_count(node: list[str]) -> None:
    tasks.scrape()
    connections.snapshot()
    assert _row().connections == 135


def test_a_wrong_secret_is_told_with_its_remedy(node: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_JWT_SECRET", "x" * 40)
    policy = supabase.policy()
    assert list(supabase.scrape(policy)) == []
    with pytest.raises(supabase.ScrapeRefused, match="answered 403; set SUPABASE_JWT_SECRET"):
        supabase._ask(policy.urls, policy)


def test_a_node_that_is_away_keeps_nobody_else_from_being_heard(
    node: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URLS", f"http://127.0.0.1:1/metrics {supabase.policy().urls}")
    tasks.scrape()
    assert _row().connections == 135


def test_a_scraped_node_is_not_out_between_two_scrapes_and_nobody_is_sent_there(node: list[str]) -> None:
    tasks.scrape()
    seconds, _ = redis.server_time(redis.connections())
    redis.connections().zadd(keys.SEEN, {"10.0.0.1": (seconds - 90) * 1000})
    usecases.watch_nodes(now=clock.now())
    assert store.out() == set()
    with pytest.raises(store.NoNode):
        store.route("w-1", "guest", "us-east-1")


def test_a_node_with_a_name_that_is_none_keeps_nobody_else_from_being_heard(node: list[str]) -> None:
    node[0] = 'realtime_connections_connected{region="r",host="bad host"} 3\n' + _page()
    tasks.scrape()
    assert [known.name for known in store.nodes()] == ["10.0.0.1"]


def test_without_addresses_nothing_is_asked() -> None:
    tasks.scrape()
    assert store.nodes() == []


@pytest.mark.parametrize(
    ("body", "encoding"), [(_page().encode(), ""), (gzip.compress(_page().encode()), "gzip")]
)
def test_a_node_may_push(monkeypatch: pytest.MonkeyPatch, body: bytes, encoding: str) -> None:
    monkeypatch.setenv("SUPABASE_PUSH_LOGIN", "node:secret")
    headers = {"content-type": "text/plain"} | ({"content-encoding": encoding} if encoding else {})
    with TestClient(api) as web:
        taken = web.post(
            "/v1/supabase/metrics?extra_label=x", content=body, headers=headers, auth=("node", "secret")
        )
    assert taken.status_code == 204
    assert _row().connections == 135


@pytest.mark.parametrize(
    ("login", "body", "encoding", "status"),
    [
        (("node", "wrong"), b"", "", 401),
        (("node", "secret"), b"\xff\xfe", "", 422),
        (("node", "secret"), b"not gzip", "gzip", 422),
        (("node", "secret"), b'realtime_connections_connected{id="1"} many\n', "", 422),
        (("node", "secret"), b'realtime_connections_connected{host="h1"} 1e300\n', "", 422),
        (("node", "secret"), b'realtime_connections_connected{host="h1"} -1\n', "", 422),
        (("node", "secret"), gzip.compress(b"x" * (supabase.LARGEST + 1)), "gzip", 422),
    ],
)
def test_a_push_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, login: tuple[str, str], body: bytes, encoding: str, status: int
) -> None:
    monkeypatch.setenv("SUPABASE_PUSH_LOGIN", "node:secret")
    with TestClient(api) as web:
        answer = web.post(
            "/v1/supabase/metrics", content=body, headers={"content-encoding": encoding}, auth=login
        )
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert store.nodes() == []


def test_nobody_pushes_where_no_login_is_set() -> None:
    with TestClient(api) as web:
        assert web.post("/v1/supabase/metrics", content=b"", auth=("", "")).status_code == 401
