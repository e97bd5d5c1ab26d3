"""The HTTP server: uvicorn, for clients that are slow on purpose and for bodies that never end."""

import asyncio
import os
import resource
from collections import OrderedDict
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from workers.access.rules.edge import Policy
from workers.foundation import settings

#: In seconds: how long the answer to an unfinished request has to arrive.
LINGER = 1.0
#: Those whose request is not whole, the oldest first.
_waiting: "OrderedDict[Impatient, None]" = OrderedDict()


class Impatient(H11Protocol):
    """Ends connections whose request does not come whole in time.

    When too many wait for theirs, who has waited longest goes: somebody who opens a thousand sockets and
    sends a byte now and then keeps nobody else out.
    """

    policy = Policy()
    _until: asyncio.TimerHandle | None = None
    _reads_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait(self.policy.head_within.total_seconds())
        while len(_waiting) > self.policy.waiting_max:
            oldest, _ = _waiting.popitem(last=False)
            oldest._give_up()

    def data_received(self, data: bytes) -> None:
        """Go on waiting, until a request is whole."""
        if self._until is None and self.conn.their_state is h11.IDLE:
            self._wait(self.policy.head_within.total_seconds())
        super().data_received(data)
        if self.conn.their_state is h11.SEND_BODY and not self._reads_body:
            self._reads_body = True
            self._wait(self.policy.body_within.total_seconds())
        elif self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._reads_body = False
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Read no more of who was answered before they had sent all: they may go on for ever."""
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self.flow.pause_reading()
            # The answer is to reach them first.
            self.loop.call_later(LINGER, self.transport.abort)
            return
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        _waiting[self] = None
        self._until = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        _waiting.pop(self, None)
        if self._until is not None:
            self._until.cancel()
            self._until = None

    def _give_up(self) -> None:
        self._stop_waiting()
        self.transport.abort()


class Loop(asyncio.SelectorEventLoop):
    """Gives who begins TLS as long as who begins a request: asyncio itself waits a minute."""

    async def create_server(self, *given: Any, **options: Any) -> asyncio.Server:
        """Listen."""
        if options.get("ssl"):
            options["ssl_handshake_timeout"] = settings.read(Policy).head_within.total_seconds()
        return await super().create_server(*given, **options)


def _open_files() -> None:
    """Let this process have as many sockets as it may: those whose handshake is not done count as well."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Serve the API until told to end: at API_ADDRESS and API_PORT, by default on loopback."""
    settings.settle_environment()
    _open_files()
    Impatient.policy = policy = settings.read(Policy)
    uvicorn.run(
        "workers.http.routes:api",
        host=os.environ.get("API_ADDRESS", "127.0.0.1"),
        port=int(os.environ.get("API_PORT", "8000")),
        access_log=False,
        log_config=str(Path(__file__).with_name("logging.json")),
        http=Impatient,
        loop="workers.http.server:Loop",
        # What a request claims must not be another's.
        reset_contextvars=True,
        server_header=False,
        # Beyond, it is said at once that there are too many.
        limit_concurrency=2 * policy.waiting_max + 200,
        timeout_keep_alive=5,
        ssl_certfile=policy.tls_certificate or None,
        ssl_keyfile=policy.tls_key or None,
    )


if __name__ == "__main__":
    main()
