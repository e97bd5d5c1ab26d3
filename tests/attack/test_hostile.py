"""Hostile input at every boundary; after each of it an emergency still starts and health tells the truth."""

import base64
import json
import os
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx2 as httpx
import pytest
from redis.exceptions import RedisError
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.acceptance import conftest
from tests.acceptance.conftest import System
from tests.made import eventually
from workers import client
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.foundation import clock, redis

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(600)]

#: Text that programs stumble over.
TEXTS = (
    "", "\0", "\ud800", "'; DROP TABLE weddings; --", "${jndi:ldap://127.0.0.1/a}", "../../../../etc/passwd",
    "%00", "%s%s%s%n", "{{7*7}}", "<script>alert(1)</script>", "A" * 100_000, "\u202e\u2066", "[" * 5_000,
    "9" * 400, "-0", "NaN", "1e999", "null", "true", "\r\nX-Injected: 1", "\x1b[2J", "w-1\nw-2", "é" * 2_000,
    "return redis.call('FLUSHALL')", "__import__('os').system('id')", "!!python/object/apply:os.system [id]",
)  # fmt: skip
Attack = Callable[[], object]


def _api(path: str = "") -> str:
    return f"http://127.0.0.1:{os.environ['API_PORT']}{path}"


def _queue(rng: random.Random) -> Attack:
    """Write what is no message, or one that means harm, into a queue."""
    queue, text = rng.choice(("emergency", "safety", "steady", "bulk", "warm_up")), rng.choice(TEXTS)
    headers = {
        "task": rng.choice(("emergencies.open", "no.such", text)),
        "id": text or "i",
        "eta": text or None,
    }
    fields = {"wedding_id": text, "kind": text, "request_key": text}
    body = rng.choice((text, json.dumps([[text], fields, {}]), json.dumps({"args": text})))
    packed = base64.b64encode(body.encode("utf-8", "replace")).decode()
    properties = {
        "delivery_info": {"exchange": queue, "routing_key": queue},
        "delivery_tag": text or "t",
        "body_encoding": rng.choice(("base64", "none", text)),
    }
    message = {
        "body": packed,
        "headers": headers,
        "properties": properties,
        "content-type": "application/json",
    }
    whole = rng.choice((text, json.dumps(message), json.dumps(message)[: rng.randrange(1, 200)]))
    return lambda: redis.registry().lpush(queue, whole.encode("utf-8", "replace"))


def _http(rng: random.Random) -> Attack:
    """Ask the API something that it was not made for."""
    text, method = rng.choice(TEXTS), rng.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
    path = rng.choice(
        ("/v1/metrics", "/otlp/v1/metrics", "/v1/prometheus", "/v1/weddings/w-1/reports", "/v1/route",
         "/v1/messages/x/receipts", "/v1/joining", "/v1/gate/deploy", "/v1/desired/instances", "/metrics",
         "/v1/supabase/metrics", "/readyz", "/../etc/passwd", "/v1/weddings/%2e%2e%2f")
    )  # fmt: skip
    token = rng.choice((permits.issue(Permit("u1", "planner", "w-1")), "guess", "a.b.c"))
    kind = rng.choice(("application/json", "application/x-protobuf", "text/plain", "multipart/form-data"))
    body = rng.choice(
        (text, json.dumps({"samples": [{"name": text, "value": 1}]}), json.dumps({"what": text}))
    )
    head = {
        "Authorization": f"Bearer {token}",
        "Content-Type": kind,
        "Content-Encoding": rng.choice(("", "gzip")),
    }
    content = body.encode("utf-8", "replace")
    asked = {"region": text[:500].encode("utf-8", "replace").decode()}
    return lambda: httpx.request(method, _api(path), content=content, headers=head, params=asked, timeout=10)


def _raw(rng: random.Random) -> Attack:
    """Speak no HTTP, or half of it."""
    text = rng.choice(TEXTS).encode("utf-8", "replace")
    line = rng.choice(
        (b"GET / HTTP/9.9\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", text, b"\x16\x03\x01")
    )

    def _send() -> None:
        with socket.create_connection(("127.0.0.1", int(os.environ["API_PORT"])), timeout=3) as one:
            one.sendall(line + text)

    return _send


def _gateway(rng: random.Random, at: str) -> Attack:
    """Say something to the gateway, let in or not."""
    text, permit = rng.choice(TEXTS), permits.issue(Permit(f"h{rng.randrange(9)}", "guest", "w-1"))
    # Few bad ones: each is answered slower.
    token = rng.choice((*[permit] * 12, permit[:-3] + "AAA", "x"))
    event = rng.choice(("phx_join", "broadcast", "presence", "access_token", "heartbeat", text))
    topic = rng.choice(("realtime:wedding:w-1", "realtime:wedding:w-2", "phoenix", text))
    said = rng.choice(
        (text, json.dumps({"topic": topic, "event": event, "payload": {"event": text}, "ref": "1"}))
    )

    def _send() -> None:
        with connect(f"{at}/websocket?apikey={token}&region=us-south&vsn=1.0.0", open_timeout=15) as one:
            one.send(said.encode("utf-8", "replace"), text=rng.random() < 0.7)

    return _send


def _function(rng: random.Random) -> Attack:
    """Call a function of the registry with what it does not expect."""
    name = rng.choice(("wedops_open", "wedops_measure", "wedops_report", "wedops_route", "wedops_receipts"))
    key = rng.choice(("wedops:{1}", "wedops:{nodes}", "wedops:{urgent}:in", "emergency"))
    words = [rng.choice(TEXTS)[:5_000].encode("utf-8", "replace") for _ in range(rng.randrange(6))]
    return lambda: redis.registry().fcall(name, 1, key, *words)


def attacks(seed: int, gateway: str) -> Iterator[Attack]:
    """Return 300 of them, the same for a seed."""
    rng = random.Random(seed)
    kinds = (_queue, _http, _raw, lambda rng: _gateway(rng, gateway), _function)
    for number in range(300):
        yield kinds[number % len(kinds)](rng)


#: The whole system, as the acceptance tests run it.
system = conftest.system
#: What an attack may end in here; what it does there is looked at afterwards.
ENDINGS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    RedisError,
    OSError,
    WebSocketException,
    ValueError,
)


def test_after_each_of_300_attacks_an_emergency_starts_and_health_tells_the_truth(system: System) -> None:
    seed, took = random.randrange(10**9), list[float]()
    for number, attack in enumerate(attacks(seed, system.gateway)):
        with suppress(*ENDINGS):
            attack()
        begun, where = clock.stopwatch(), f"seed {seed}, attack {number}"
        key = client.open_emergency("venue", "w-1", request_key=f"after-{seed}-{number}").key
        assert eventually(lambda key=key: _is_done(key), within=15), where  # type: ignore[misc]
        took.append(clock.stopwatch() - begun)
        if number % 10 == 9:
            ready = httpx.get(_api("/readyz"), timeout=5).json()
            assert ready["broker"] == ready["database"] == "ok", where
    took.sort()
    print(
        f"to a settled emergency: p50 {took[150] * 1000:.0f} ms, p95 {took[285] * 1000:.0f} ms, seed {seed}"
    )


def _is_done(key: str) -> bool:
    found = client.find(key)
    return found is not None and found.state == "done"
