"""How large a body may be."""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Refuses a body once it is too large, whatever its headers say, and reads no more of it."""

    def __init__(self, app: ASGIApp, limit: int, refusal: Callable[[Scope], ASGIApp]) -> None:
        """Limit the bodies of an ASGI app, in bytes; `refusal` answers a request by its scope."""
        self._app, self._limit, self._refusal = app, limit, refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size, begun, refused = 0, False, False

        async def _receive() -> Message:
            nonlocal size, refused
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limit:
                refused = True
                if not begun:
                    await self._refusal(scope)(scope, receive, send)
                return {"type": "http.disconnect"}
            return message

        async def _send(message: Message) -> None:
            nonlocal begun
            if not refused:
                begun = True
                await send(message)

        await self._app(scope, _receive, _send)
