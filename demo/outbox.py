"""What waits for one client: gathered as its service level says, and no faster than its share of the node's bandwidth."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

#: A client may send for so many seconds at once what its share gives it in them.
BURST = 1.0
#: Of what waits longer than the client can take it, the oldest goes.
MOST = 500


@dataclass
class Outbox:
    """Broadcasts for one client; replies do not wait here."""

    send: Callable[[str], Awaitable[None]]
    waiting: list[str] = field(default_factory=list)
    #: When all that was sent would have been, at the client's share (seconds of the event loop).
    paid_until: float = 0.0
    dropped: int = 0

    async def put(self, text: str, level: dict[str, Any], rate: float) -> None:
        """Send a text as the level says, at `rate` bytes a second."""
        loop = asyncio.get_running_loop()
        self.waiting.append(text)
        if len(self.waiting) > MOST:
            del self.waiting[0]
            self.dropped += 1
        elif len(self.waiting) == 1:
            if wait := self.wait(level, now=loop.time()):
                loop.call_later(wait, lambda: asyncio.ensure_future(self.flush(rate)))
            else:
                await self.flush(rate)

    def wait(self, level: dict[str, Any], *, now: float) -> float:
        """Return for how many seconds a message is gathered with what follows it."""
        return max(float(level["batch_ms"]) / 1000, self.paid_until - now - BURST, 0.0)

    def pay(self, size: int, rate: float, *, now: float) -> None:
        """Count what was sent."""
        self.paid_until = max(now, self.paid_until) + size / rate

    async def flush(self, rate: float) -> None:
        """Send all that waits."""
        waiting, self.waiting = self.waiting, []
        self.pay(sum(map(len, waiting)), rate, now=asyncio.get_running_loop().time())
        for text in waiting:
            await self.send(text)
