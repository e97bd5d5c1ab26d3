"""A socket of the demo's gateway, and what it knows of who is at its other end."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from demo import phoenix
from demo.outbox import Outbox
from workers.connections.store import Connection


@dataclass
class Client:
    """An open socket and what passed since its last heartbeat to the registry."""

    socket: ServerConnection
    record: Connection
    version: str
    outbox: Outbox
    topics: dict[str, bool] = field(default_factory=dict)
    messages: int = 0
    size: int = 0
    next_beat: float = 0.0
    pong: Any = None
    pinged: float = 0.0

    async def tell(self, frame: phoenix.Frame) -> None:
        """Send a message now."""
        await send(self.socket, frame.write(self.version))

    def cut(self) -> None:
        """End a socket whose client takes nothing: a goodbye would wait for ever."""
        self.socket.transport.abort()


async def send(socket: ServerConnection, text: str) -> None:
    """Send a text to who is still there."""
    with suppress(ConnectionClosed):
        await socket.send(text)
