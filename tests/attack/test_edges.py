"""The API's edge: slow sockets, bodies without an end, what costs much to read, bad tokens."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from time import sleep

import httpx2 as httpx
import orjson
import pytest

from tests import ROOT
from tests.made import eventually
from workers.access.rules.roles import Logins, Role
from workers.access.usecases import grants
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.processes import servers

TOKEN, READER = "a-token-of-sixteen-letters", "a-reader-of-sixteen-letters"


@pytest.fixture(scope="module")
def api(real_servers: list[servers.Server]) -> Iterator[str]:
    """Yield the address of an API in a process of its own, impatient enough for a test."""
    from tests.conftest import LOGINS, URLS

    grants.apply(LOGINS)
    port = servers.free_port()
    own = {name: grants.as_role(url, Role.API, LOGINS) for name, url in URLS.items()}
    environment = os.environ | own | {
        "API_PORT": str(port),
        "API_HEAD_WITHIN": "2s",
        "API_BODY_WITHIN": "4s",
        "API_WAITING_MAX": "300",
        "API_READ_TOKENS": f"prometheus:{READER}",
        "METRICS_INGEST_TOKENS": f"photos:{TOKEN}",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "workers.http.server"], cwd=ROOT, env=environment
    ) as process:
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: _lives(url), within=40)
        yield url
        process.terminate()


def _lives(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/livez", timeout=3).status_code == 200
    return False


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def test_a_thousand_slow_sockets_keep_nobody_out(api: str) -> None:
    """Slowloris: 1,200 sockets, each with a byte of its head now and then."""
    with ExitStack() as stack:
        held = []
        for number in range(1200):
            one = stack.enter_context(socket.create_connection(_address(api), timeout=5))
            with suppress(OSError):
                one.sendall(b"GET /livez HTTP/1.1\r\nX-a: ")
            held.append(one)
            if number % 300 == 299:
                assert _lives(api)
        for _ in range(3):
            for one in held:
                with suppress(OSError):
                    one.sendall(b"b")
            assert _lives(api)
            sleep(0.5)
        # Those that never finish are ended.
        assert eventually(lambda: all(map(_is_closed, held[-20:])), within=10)


def _is_closed(one: socket.socket) -> bool:
    one.settimeout(0.05)
    try:
        return one.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_a_body_that_never_comes_is_waited_for_and_then_ended(api: str) -> None:
    with socket.create_connection(_address(api), timeout=10) as one:
        one.sendall(b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n")
        one.sendall(f"Authorization: Bearer {TOKEN}\r\n\r\n".encode())
        one.sendall(b"{")
        assert eventually(lambda: _is_closed(one), within=10)


@pytest.mark.parametrize(
    "path", ["/v1/metrics", "/v1/messages/m/receipts", "/v1/weddings/w-1/reports", "/nowhere"]
)
def test_a_body_without_an_end_is_cut_off(api: str, path: str) -> None:
    """Chunked, so that no header says how large it gets."""
    sent = 0

    def _chunks() -> Iterator[bytes]:
        nonlocal sent
        while sent < 200_000_000:
            sent += 1_000_000
            yield b" " * 1_000_000

    permit = permits.issue(Permit("u1", "planner", "w-1"))
    token = TOKEN if path == "/v1/metrics" else permit
    status = 0
    with suppress(httpx.HTTPError):
        status = httpx.post(
            api + path, content=_chunks(), headers={"Authorization": f"Bearer {token}"}, timeout=30
        ).status_code
    assert status in (0, 404, 413, 422)
    # What the system's buffers hold comes on top.
    assert sent < 60_000_000
    assert _lives(api)


def test_a_small_body_that_unpacks_to_a_large_one_is_refused(api: str) -> None:
    import gzip

    bomb = gzip.compress(b" " * 200_000_000)
    answer = httpx.post(
        f"{api}/v1/metrics",
        content=bomb,
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"},
        timeout=30,
    )
    assert answer.status_code == 413


def test_what_takes_long_to_read_is_paid_for_by_who_sends_it(api: str) -> None:
    point = {
        "asDouble": 1.5,
        "timeUnixNano": "1700000000000000000",
        "attributes": [{"key": "region", "value": {"stringValue": "us-west"}}],
    }
    metric = {"name": "a", "gauge": {"dataPoints": [point] * 25_000}}
    body = orjson.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
    head = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}

    def _send() -> int:
        return httpx.post(f"{api}/otlp/v1/metrics", content=body, headers=head, timeout=60).status_code

    # One of 25,000 points is refused, and was read.
    assert _send() in (400, 413)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: _send(), range(24)))
        assert _lives(api)
    assert 429 in found
    assert set(found) <= {400, 413, 429}


def test_what_says_how_the_system_is_doing_wants_a_token_where_one_is_set(api: str) -> None:
    for path in ("/metrics", "/openapi.json", "/v1/desired/instances", "/v1/gate/deploy"):
        assert httpx.get(api + path).status_code == 401
        assert httpx.get(api + path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
        known = httpx.get(api + path, headers={"Authorization": f"bearer {READER}"})
        assert known.status_code in (200, 404), known.text
    for path in ("/livez", "/healthz", "/readyz"):
        assert httpx.get(api + path).status_code in (200, 503)


def test_who_tries_bad_tokens_waits_and_who_has_a_good_one_does_not(api: str) -> None:
    statuses: list[int] = []

    def _guess(number: int) -> None:
        head = {"Authorization": f"Bearer guess-{number}"}
        statuses.append(httpx.post(f"{api}/v1/metrics", json={}, headers=head, timeout=30).status_code)

    threads = [Thread(target=_guess, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    good = {"Authorization": f"Bearer {permits.issue(Permit('u1', 'guest', 'w-1'))}"}
    answer = httpx.get(f"{api}/v1/route?region=us-west", headers=good, timeout=3)
    assert answer.status_code in (200, 404, 503)
    for thread in threads:
        thread.join()
    assert statuses.count(429) > 10
    assert set(statuses) == {401, 429}


def test_two_requests_on_one_connection_are_shown_their_own_weddings(api: str, roles: Logins) -> None:
    """What one request claims does not stay for the next."""
    from tests.made import wedding
    from workers.foundation import clock, database
    from workers.weddings.store import weddings

    with database.transaction() as db:
        weddings.upsert(db, [wedding(id, starts_at=clock.now()) for id in ("w-1", "w-2")], at=clock.now())
    body = {"what": "arrived", "key": "k"}
    with httpx.Client(base_url=api) as one:
        for id in ("w-1", "w-2", "w-1"):
            head = {"Authorization": f"Bearer {permits.issue(Permit('u1', 'vendor', id, 's1'))}"}
            said = one.post(f"/v1/weddings/{id}/reports", json=body, headers=head)
            # Nobody has begun its day before: the API's role can.
            assert said.status_code == 200, said.text
            other = "w-2" if id == "w-1" else "w-1"
            assert one.post(f"/v1/weddings/{other}/reports", json=body, headers=head).status_code == 403


def test_the_api_speaks_tls_where_files_say_so(tmp_path: Path, real_servers: list[servers.Server]) -> None:
    import ssl

    import trustme

    authority, port = trustme.CA(), servers.free_port()
    own = authority.issue_cert("127.0.0.1")
    own.private_key_pem.write_to_path(str(tmp_path / "key"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "certificate"))
    files = {"API_TLS_CERTIFICATE": str(tmp_path / "certificate"), "API_TLS_KEY": str(tmp_path / "key")}
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def _answers(context: ssl.SSLContext) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"https://127.0.0.1:{port}/livez", verify=context, timeout=3).status_code == 200
        return False

    with subprocess.Popen(
        [sys.executable, "-m", "workers.http.server"],
        cwd=ROOT,
        env=os.environ | files | {"API_PORT": str(port), "API_HEAD_WITHIN": "3s"},
    ) as process:
        assert eventually(lambda: _answers(trusting), within=40)
        assert not _answers(ssl.create_default_context())
        assert not _lives(f"http://127.0.0.1:{port}")
        with ExitStack() as stack:
            # Who never begins TLS keeps nobody out, and is ended as who never sends a request.
            held = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
                for _ in range(1200)
            ]
            assert _answers(trusting)
            assert eventually(lambda: sum(map(_is_ended, held)) == len(held), within=20)
        process.terminate()


def _is_ended(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
