"""The part of Supabase Realtime's tenant API that scaling uses: GET and PUT /api/tenants/:id, with a JWT (HS256)."""

import os
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import orjson

PORT = int(os.environ.get("GATEWAY_API_PORT", "4001"))
TENANT = "realtime"
#: No limit has more digits than this body has bytes.
LARGEST = 10_000


class Tenant:
    """The one tenant of this node: how many may be connected at once; changing it drops nobody."""

    def __init__(self) -> None:
        """Begin as a tenant without a limit of its own."""
        self.most = 1_000_000

    def serve(self) -> None:
        """Answer on loopback in a thread as long as this process lives, if GATEWAY_API_JWT_SECRET is set."""
        if secret := os.environ.get("GATEWAY_API_JWT_SECRET"):
            server = ThreadingHTTPServer(("127.0.0.1", PORT), _handler(self, secret))
            Thread(target=server.serve_forever, daemon=True).start()

    def facts(self) -> dict[str, Any]:
        """Return what the API says of it."""
        return {"data": {"external_id": TENANT, "name": TENANT, "max_concurrent_users": self.most}}

    def change(self, body: bytes) -> dict[str, Any]:
        """Take a change; raises ValueError or TypeError."""
        self.most = max(0, int(orjson.loads(body)["tenant"]["max_concurrent_users"]))
        return self.facts()


def _answer(tenant: Tenant, secret: str, request: BaseHTTPRequestHandler, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
    if request.path != f"/api/tenants/{TENANT}":
        return HTTPStatus.NOT_FOUND, {"error": "no such tenant"}
    try:
        jwt.decode(request.headers.get("Authorization", "").removeprefix("Bearer "), secret, ["HS256"])
        return HTTPStatus.OK, tenant.change(body) if request.command == "PUT" else tenant.facts()
    except jwt.InvalidTokenError:
        return HTTPStatus.FORBIDDEN, {"error": "forbidden"}
    except (ValueError, TypeError, KeyError):
        return HTTPStatus.UNPROCESSABLE_ENTITY, {"error": "max_concurrent_users must be a number"}


def _handler(tenant: Tenant, secret: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LARGEST))
            status, facts = _answer(tenant, secret, self, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(orjson.dumps(facts))

        do_PUT = do_GET  # noqa: N815 - the standard library's name

        def log_message(self, *_words: object) -> None:
            """Say nothing: addresses are personal."""

    return Handler
