"""A socket of the demo's gateway, and what it knows of who is at its other end."""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from socket import IPPROTO_TCP, TCP_NOTSENT_LOWAT
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from demo import phoenix
from demo.limits import Allowance
from demo.outbox import Outbox
from demo.traffic import Traffic
from workers.connections.formats.permits import Permit
from workers.connections.store.registry import Connection, Measurement

#: However calm it is, each connection is pinged and the registry hears of it this often, in seconds.
BEAT_MAX = float(os.environ.get("GATEWAY_BEAT_MOST", "30"))
#: Bytes that may wait for a socket outside our own queues: in the system, and above that in the process.
UNSENT, UNWRITTEN = 6_000, 1_000
#: A client that takes nothing for so many seconds, or answers no ping for so many, is cut off.
PATIENCE, SILENCE = 5.0, 40.0


@dataclass
class Client:
    """An open socket and what passed since its last heartbeat to the registry."""

    socket: ServerConnection
    record: Connection
    permit: Permit
    version: str
    outbox: Outbox
    #: What comes on channels that wait for nothing.
    prompt: Outbox
    #: By topic, whether it wants its own broadcasts, and whether each is acknowledged.
    topics: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    #: What it needs on joining, and channels that the registry has of it before it joined them.
    needed: dict[str, Any] = field(default_factory=dict)
    restored: set[str] = field(default_factory=set)
    #: By channel, the topic by which it joined it.
    names: dict[str, str] = field(default_factory=dict)
    allowance: Allowance = field(default_factory=Allowance)
    messages: int = 0
    size: int = 0
    next_beat: float = 0.0
    #: Seconds; 0 until it was measured.
    rtt: float = 0.0
    pong: Any = None
    #: When its handshake came (seconds of the event loop).
    arrived: float = 0.0
    pinged: float = 0.0
    #: Of each thread of urgent messages, the highest revision that was sent here. A socket lives for hours.
    revisions: dict[str, int] = field(default_factory=dict)

    @property
    def sent(self) -> int:
        """Return how many bytes of others' messages were sent."""
        return self.outbox.sent + self.prompt.sent

    async def tell(self, frame: phoenix.Frame) -> None:
        """Send a message now."""
        if (text := frame.write(self.version)) is not None:
            await send(self.socket, text)

    def takes(self, message: dict[str, Any]) -> bool:
        """Tell whether an urgent message is new here, and remember it: nobody is sent an older one after."""
        new: bool = message["revision"] > self.revisions.get(message["thread"], -1)
        if new:
            self.revisions[message["thread"]] = message["revision"]
        return new

    def has(self, message: dict[str, Any]) -> bool:
        """Tell whether this urgent message is what was sent here last of its thread."""
        return bool(self.revisions.get(message["thread"]) == message["revision"])

    def cut(self) -> None:
        """End a socket whose client takes nothing: a goodbye would wait for ever."""
        # One that is just closed has lost its loop (asyncio of 3.11), and needs no end.
        with suppress(AttributeError):
            self.socket.transport.abort()

    async def ping(self, at: float, heartbeat_seconds: float) -> Measurement | None:
        """Ping it again; return what it did since the last ping, if that was answered."""
        found = None
        if self.pong is not None:
            if not self.pong.done():
                if at - self.pinged > SILENCE:
                    self.cut()
                return None
            with suppress(ConnectionClosed):
                self.rtt = await self.pong
                found = Measurement(
                    self.record.ref, self.rtt * 1000, self.messages, self.outbox.dropped, self.size
                )
                self.messages = self.size = self.outbox.dropped = 0
        self.pinged = at
        try:
            # A ping waits until the client has taken what was sent before: one that takes nothing must hold
            # up nobody.
            self.pong = await asyncio.wait_for(self.socket.ping(), PATIENCE)
        except TimeoutError:
            self.cut()
        except ConnectionClosed:
            pass
        self.next_beat = at + min(BEAT_MAX, heartbeat_seconds)
        return found


def client_of(
    socket: ServerConnection,
    record: Connection,
    permit: Permit,
    version: str,
    arrived: float,
    traffic: Traffic,
    turns: asyncio.Semaphore,
) -> Client:
    """Return the client of a socket; what becomes of its messages is observed."""

    def _observe(what: str, seconds: float | None) -> None:
        if seconds is None:
            traffic.happened(record.region, what)
        else:
            # The recipient has it half a round trip after its socket took it.
            traffic.took(record.region, what, seconds + client.rtt / 2)

    own = Outbox(partial(send, socket), _observe, turns=turns), Outbox(partial(send, socket), _observe)
    client = Client(socket, record, permit, version, *own, arrived=arrived)
    # What the system took cannot be passed any more: it takes little that is not on its way.
    socket.transport.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT)
    return client


async def send(socket: ServerConnection, text: str | bytes) -> bool:
    """Send a text to who is still there; return whether they are."""
    with suppress(ConnectionClosed):
        if socket.state is State.OPEN and not socket.transport.get_write_buffer_size():
            # Nothing waits there, so there is nothing to wait for: a third of what `send` costs.
            broadcast([socket], text)
        else:
            await socket.send(text)
        return True
    return False
