"""The Python client for other services.

    from workers import client

    client.warm_up("w-17", request_key="planner/w-17/1")
    client.open_emergency("weather", "w-17", request_key="storm/w-17")

Metrics go over HTTP, in batches, and never hold up who measures:

    with client.Metrics("http://127.0.0.1:8000", token) as metrics, metrics.timed("guest_list_seconds",
    wedding_id="w-17"):
        ...

A request needs WEDOPS_DATABASE_URL and WEDOPS_BROKER_URL, with the logins of the role `api`. When a call
returns, the request has a row and will be done, whatever fails after that; a call with a known key changes
nothing. Errors derive from `client.Refused` and name the field and its remedy.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import isfinite
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any

import httpx2

from workers.caching.formats.commands import WarmUp
from workers.commands.rules.requests import Request
from workers.commands.usecases import commands as usecases
from workers.commands.usecases.commands import find
from workers.delivery.usecases import sending
from workers.emergencies.formats import OpenEmergency
from workers.foundation import clock
from workers.foundation.claims import Claims, claiming
from workers.foundation.errors import ExpectedError as Refused

__all__ = ["Metrics", "Refused", "Request", "find", "open_emergency", "send_message", "warm_up"]


def warm_up(wedding_id: str, *, request_key: str | None = None, caller: str = "client") -> Request:
    """Have the wedding's data in the cache before its people come."""
    fields = {"wedding_id": wedding_id, "request_key": request_key}
    with claiming(Claims(wedding_id)):
        return usecases.accept(WarmUp.task, fields, caller=caller)


def open_emergency(
    kind: str, wedding_id: str, *, request_key: str | None = None, caller: str = "client"
) -> Request:
    """Open an emergency: `kind` is weather, venue, vendor or technical. It starts within 200 ms."""
    fields = {"kind": kind, "wedding_id": wedding_id, "request_key": request_key}
    with claiming(Claims(wedding_id)):
        return usecases.accept(OpenEmergency.task, fields, caller=caller)


def send_message(
    wedding_id: str, headline: str, *, request_key: str | None = None, caller: str = "client", **fields: Any
) -> str:
    """Send an urgent message to the people of a wedding, past all queues; return its identifier.

    `fields` are those of `delivery.send`: body, audience, msg_type, references … When this returns, it is
    written for each recipient; `wedops messages show` says who has it.
    """
    asked = {"wedding_id": wedding_id, "headline": headline, "request_key": request_key, **fields}
    now, machine = clock.now(), clock.machine_now()
    with claiming(Claims(wedding_id)):
        return sending.send(asked, sender=caller, now=now, machine=machine).identifier


class Metrics:
    """Sends samples to `url` in the background, every `every` seconds or 1,000 samples.

    While the other end is unavailable samples are kept, the newest `keep_max`, and sent again; `dropped`
    counts what was not kept or was refused, `problem` says why.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        every: float = 1.0,
        keep_max: int = 10_000,
        keep_most: int | None = None,
    ) -> None:
        """Begin to send; end it by `close`, or use it as a context. `keep_most` is `keep_max`'s old name."""
        keep_max = keep_max if keep_most is None else keep_most
        self.sent, self.dropped, self.problem = 0, 0, ""
        self._waiting: deque[dict[str, Any]] = deque()
        self._keep_max, self._every, self._lock, self._ended = keep_max, every, Lock(), Event()
        head = {"Authorization": f"Bearer {token}"}
        self._http = httpx2.Client(base_url=url, headers=head, timeout=5)
        self._thread = Thread(target=self._run, name="wedops-metrics", daemon=True)
        self._thread.start()

    def measure(self, name: str, value: float, **labels: str) -> None:
        """Note a sample of now.

        Labels are ids: region, wedding_id, operation …; never people's. Raises ValueError.
        """
        if not isfinite(value) or not all(isinstance(text, str) for text in labels.values()):
            raise ValueError(f"{name}: value must be a finite number and labels texts")
        if len(self._waiting) >= self._keep_max:
            with suppress(IndexError):
                self._waiting.popleft()
                self.dropped += 1
        self._waiting.append({"name": name, "value": value, "at": clock.epoch(), "labels": labels})

    @contextmanager
    def timed(self, name: str, **labels: str) -> Iterator[None]:
        """Measure the block in seconds; one that raises is labelled outcome=failed."""
        begun, outcome = clock.stopwatch(), {"outcome": "failed"}
        try:
            yield
            outcome = {}
        finally:
            self.measure(name, clock.stopwatch() - begun, **labels, **outcome)

    def flush(self) -> bool:
        """Send what waits now; False when the other end is unavailable, and it is kept."""
        with self._lock:
            while batch := [self._waiting.popleft() for _ in range(min(1_000, len(self._waiting)))]:
                if not self._send(batch):
                    self._waiting.extendleft(reversed(batch))
                    return False
        return True

    def close(self) -> None:
        """Send what waits and end."""
        self._ended.set()
        self._thread.join()
        self.flush()
        self._http.close()

    def _send(self, batch: list[dict[str, Any]]) -> bool:
        try:
            answer = self._http.post("/v1/metrics", json={"samples": batch})
            body = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            self.problem = f"not sent: {error}"
            return False
        if answer.status_code == 429 or answer.status_code >= 500:
            self.problem = str(body)
            return False
        taken = body.get("accepted", 0) + body.get("doubles", 0)
        self.sent, self.dropped = self.sent + taken, self.dropped + len(batch) - taken
        if taken < len(batch):
            self.problem = str(body.get("detail") or body.get("refused"))
        return True

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            self.flush()

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
