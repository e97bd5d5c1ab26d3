"""A target for notifications that counts what arrives."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from workers.foundation import clock


@dataclass
class Target:
    """A real target for notifications, how often each key arrived, and when first, by the stopwatch."""

    got: Counter[str] = field(default_factory=Counter)
    at: dict[str, float] = field(default_factory=dict)
    url: str = ""


@contextmanager
def target() -> Iterator[Target]:
    """Yield a target that listens for the length of the block."""
    found = Target()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            found.got[self.headers["Idempotency-Key"]] += 1
            found.at.setdefault(self.headers["Idempotency-Key"], clock.stopwatch())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"json://127.0.0.1:{server.server_port}/"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
