"""The part of Supabase Realtime's HTTP API that we use, with a JWT.

GET and PUT /api/tenants/:id, POST /api/broadcast.
"""

import asyncio
import os
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import orjson

from demo import phoenix

PORT = int(os.environ.get("GATEWAY_API_PORT", "4001"))
TENANT = "realtime"
#: What Supabase takes at once.
LARGEST = 250_000


class Tenant:
    """The one tenant of this node: how many may be connected at once; changing it drops nobody."""

    def __init__(self, tell: Callable[[str, phoenix.Frame], None]) -> None:
        """Begin as a tenant without a limit, within the loop in which `tell` publishes to a topic."""
        self.limit, self.tell, self.loop = 1_000_000, tell, asyncio.get_running_loop()

    def serve(self) -> None:
        """Answer on loopback in a thread as long as this process lives, if GATEWAY_API_JWT_SECRET is set."""
        if secret := os.environ.get("GATEWAY_API_JWT_SECRET"):
            server = ThreadingHTTPServer(("127.0.0.1", PORT), _handler(self, secret))
            Thread(target=server.serve_forever, daemon=True).start()

    def facts(self) -> dict[str, Any]:
        """Return what the API says of it."""
        return {"data": {"external_id": TENANT, "name": TENANT, "max_concurrent_users": self.limit}}

    def change(self, body: bytes) -> dict[str, Any]:
        """Take a change; raises ValueError or TypeError."""
        self.limit = max(0, int(orjson.loads(body)["tenant"]["max_concurrent_users"]))
        return self.facts()

    def broadcast(self, body: bytes) -> dict[str, Any]:
        """Have messages told to the people of their topics; raises ValueError, TypeError or KeyError."""
        for one in orjson.loads(body)["messages"]:
            topic = f"realtime:{one['topic']}"
            said = {"type": "broadcast", "event": str(one["event"]), "payload": one["payload"]}
            self.loop.call_soon_threadsafe(self.tell, topic, phoenix.Frame(topic, phoenix.BROADCAST, said))
        return {}


def _answer(
    tenant: Tenant, secret: str, request: BaseHTTPRequestHandler, body: bytes
) -> tuple[HTTPStatus, dict[str, Any]]:
    if request.path not in (f"/api/tenants/{TENANT}", "/api/broadcast"):
        return HTTPStatus.NOT_FOUND, {"error": "no such tenant"}
    try:
        jwt.decode(request.headers.get("Authorization", "").removeprefix("Bearer "), secret, ["HS256"])
        if request.path == "/api/broadcast":
            return HTTPStatus.ACCEPTED, tenant.broadcast(body)
        return HTTPStatus.OK, tenant.change(body) if request.command == "PUT" else tenant.facts()
    except jwt.InvalidTokenError:
        return HTTPStatus.FORBIDDEN, {"error": "forbidden"}
    except (ValueError, TypeError, KeyError):
        return HTTPStatus.UNPROCESSABLE_ENTITY, {
            "error": "max_concurrent_users must be a number, messages a list"
        }


def _handler(tenant: Tenant, secret: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LARGEST))
            status, facts = _answer(tenant, secret, self, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(orjson.dumps(facts))

        do_PUT = do_POST = do_GET  # noqa: N815 - the standard library's names

        def log_message(self, *_words: object) -> None:
            """Say nothing: addresses are personal."""

    return Handler
