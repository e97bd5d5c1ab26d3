"""What waits for one client.

Gathered as its service level says, and no faster than its share of the node's bandwidth.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

#: A client may be sent at once what its share gives it in so many seconds.
BURST = 1.0
#: Of what waits longer than the client can take it, the oldest goes: so many characters may wait.
MAX = 250_000


@dataclass
class Outbox:
    """Messages from others for one client, in their order.

    One task writes them: who reads slowly holds up nobody else.
    """

    send: Callable[[str | bytes], Awaitable[bool]]
    #: Called with `delivery` and seconds for each message, with `batches` or `failed_batches` for what was
    #: gathered.
    observe: Callable[[str, float | None], None] = lambda *_seen: None
    #: Each with the moment it was sent at (seconds of the event loop).
    waiting: deque[tuple[str | bytes, float]] = field(default_factory=deque)
    size: int = 0
    gathers: float = 0.0
    rate: float = 1e9
    #: When all that was sent would have been, at the client's share (seconds of the event loop).
    paid_until: float = 0.0
    dropped: int = 0
    sent: int = 0
    some: asyncio.Event = field(default_factory=asyncio.Event)
    #: So many of all clients' are written before the loop looks whether something urgent came.
    turns: asyncio.Semaphore | None = None

    def put(self, text: str | bytes, level: dict[str, Any], rate: float, *, since: float) -> None:
        """Have a text sent as the level says, at `rate` bytes a second; its sender sent it at `since`."""
        self.gathers, self.rate = float(level["batch_ms"]) / 1000, rate
        if len(text) > MAX:
            self.dropped += 1
            return
        self.waiting.append((text, since))
        self.size += len(text)
        while self.size > MAX:
            self.size -= len(self.waiting.popleft()[0])
            self.dropped += 1
        self.some.set()

    async def write(self) -> None:
        """Send what waits, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self.some.wait()
            await asyncio.sleep(self.gathers)
            dropped, sent = self.dropped, True
            while self.waiting:
                await asyncio.sleep(self.behind(loop.time()))
                await self._turn()
                # Some may have been dropped meanwhile, and never the last.
                text, since = self.waiting.popleft()
                self.size -= len(text)
                self.pay(len(text), loop.time())
                if await self.send(text):
                    self.observe("delivery", loop.time() - since)
                else:
                    sent = False
            self.some.clear()
            self.observe("batches", None)
            if not sent or self.dropped > dropped:
                self.observe("failed_batches", None)

    async def _turn(self) -> None:
        """Wait for a turn: what is sent to a thousand guests must not hold the loop all at once."""
        if self.turns:
            async with self.turns:
                await asyncio.sleep(0)

    def behind(self, at: float) -> float:
        """Return how many seconds the next message has to wait for the client's share."""
        return max(0.0, self.paid_until - at - BURST)

    def pay(self, size: int, at: float) -> None:
        """Count what is sent."""
        self.sent += size
        self.paid_until = max(at, self.paid_until) + size / self.rate
