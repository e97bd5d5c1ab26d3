"""Headers that belong to a request, whatever it is answered with: rate limits, and what its version is."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Where a request's scope keeps them.
PLACE = "wedops.headers"


class Headers:
    """Adds what was noted of a request to its answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Add headers to the answers of an ASGI app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        noted: dict[str, str] = scope.setdefault(PLACE, {})

        async def _send(message: Message) -> None:
            if message["type"] == "http.response.start" and noted:
                own = [(name.lower().encode(), value.encode("latin-1")) for name, value in noted.items()]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        await self._app(scope, receive, _send)


def note(scope: Scope, **headers: str) -> None:
    """Have headers stand in the answer: `ratelimit_policy` is RateLimit-Policy."""
    scope[PLACE] |= {name.replace("_", "-"): value for name, value in headers.items()}
