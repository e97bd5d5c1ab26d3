"""What Flower lets whom do: operators all, readers look; nobody sends a task that services may not send."""

import hmac
import os
from base64 import b64decode
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from flower.api.tasks import TaskApply, TaskAsyncApply, TaskSend
from flower.views import BaseHandler
from flower.views.monitor import Metrics
from tornado.web import HTTPError

from workers.foundation import bearer

#: What changes nothing.
_LOOKS = ("GET", "HEAD", "OPTIONS")
#: Scripts and styles of its own pages stand in them.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _given(header: str) -> bytes | None:
    """Return name and password of a request, as bytes: a login may have any letters."""
    scheme, _, credentials = header.partition(" ")
    try:
        return b64decode(credentials.strip(), validate=True) if scheme.casefold() == "basic" else None
    except ValueError:
        return None


def login_of(header: str, logins: Collection[str]) -> str | None:
    """Return whose name and password an Authorization header has; None for nobody's."""
    given, found = _given(header), None
    for login in logins:
        if given is not None and hmac.compare_digest(login.encode(), given):
            found = login.partition(":")[0]
    return found


_current_user, _default_headers = BaseHandler.get_current_user, BaseHandler.set_default_headers
_async_apply, _metrics = TaskAsyncApply.post, Metrics.get


@dataclass(frozen=True)
class Doors:
    """Logins that only look, the token of /metrics (empty: none is wanted), and what services may send."""

    readers: Collection[str]
    token: str
    offered: Collection[str]

    def current_user(self, handler: Any) -> Any:
        """Return who asks; refuse who is nobody, and who may only look."""
        logins = handler.application.options.basic_auth
        if not logins:
            return _current_user(handler)
        name = login_of(handler.request.headers.get("Authorization", ""), logins)
        if name is None:
            raise HTTPError(401)
        if name in self.readers and handler.request.method not in _LOOKS:
            raise HTTPError(403, "this login looks and changes nothing")
        return name

    async def async_apply(self, handler: Any, task: str) -> Any:
        """Send a task that services may send."""
        _ = handler.current_user
        if task not in self.offered:
            raise HTTPError(403, f"services may send {', '.join(sorted(self.offered))}, and nothing else")
        return await _async_apply(handler, task)

    async def metrics(self, handler: Any) -> Any:
        """Return Flower's own metrics to who has the token, or a login."""
        given = bearer.given(handler.request.headers.get("Authorization", ""))
        if self.token and not hmac.compare_digest(given.encode(), self.token.encode()):
            _ = handler.current_user
        return await _metrics(handler)


def _headers(handler: Any) -> None:
    _default_headers(handler)
    for header, value in _HEADERS.items():
        handler.set_header(header, value)
    handler.clear_header("Server")


async def _nothing(handler: Any, _task: str) -> None:
    _ = handler.current_user
    raise HTTPError(403, "tasks are not sent from here; see docs/guides/services.md")


def close(offered: Collection[str]) -> None:
    """Have all of Flower's pages and its API keep to this; `offered` are the tasks that services may send.

    FLOWER_READERS names logins, commas between, that look and change nothing. With FLOWER_METRICS_TOKEN
    /metrics wants it as `Bearer`, or a login.
    """
    readers = {name.strip() for name in os.environ.get("FLOWER_READERS", "").split(",")} - {""}
    doors = Doors(readers, os.environ.get("FLOWER_METRICS_TOKEN", ""), offered)
    BaseHandler.set_default_headers = _headers
    TaskApply.post = TaskSend.post = _nothing
    # Functions, not bound methods: Python hands a method's own object to those alone.
    BaseHandler.get_current_user = lambda handler: doors.current_user(handler)  # noqa: PLW0108
    TaskAsyncApply.post = lambda handler, task: doors.async_apply(handler, task)  # noqa: PLW0108
    Metrics.get = lambda handler: doors.metrics(handler)  # noqa: PLW0108
