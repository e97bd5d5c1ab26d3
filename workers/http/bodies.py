"""How large a body may be."""

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class BodyLimit:
    """Refuses a body once it is too large, whatever its headers say, and reads no more of it."""

    def __init__(self, app: App, limit: int) -> None:
        """Limit the bodies of an ASGI app, in bytes."""
        self._app, self._limit = app, limit

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
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
                    await _refuse(send, self._limit)
                return {"type": "http.disconnect"}
            return message

        async def _send(message: Message) -> None:
            nonlocal begun
            if not refused:
                begun = True
                await send(message)

        await self._app(scope, _receive, _send)


async def _refuse(send: Send, limit: int) -> None:
    body = b'{"reason":"too_large","detail":"a body may have %d bytes"}' % limit
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
