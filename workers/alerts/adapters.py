"""Alerts published live, on a channel of Supabase Realtime.

Best effort, beside the notifications that are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import httpx2
import jwt

from workers.foundation import breaker, clock, settings
from workers.foundation.errors import ExpectedError

TOPIC = "ops:alerts"
#: So many at once.
MAX = 50
_PATIENCE = 3.0


@dataclass(frozen=True)
class Policy:
    """`broadcast_url` is where a deployment takes broadcasts, https://PROJECT/realtime/v1/api/broadcast.

    None is published without. `broadcast_jwt_secret` signs a token of a minute for each call; a
    `broadcast_key` is sent as it is. With `supabase_url`, a project's address, and a key, its own broadcasts
    are used.
    """

    prefix: ClassVar = "ALERTS_"
    also: ClassVar = {"supabase_url": "SUPABASE_URL", "broadcast_key": "SUPABASE_SERVICE_ROLE_KEY"}

    broadcast_url: str = ""
    broadcast_jwt_secret: str = ""
    broadcast_key: str = ""
    supabase_url: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        if self.broadcast_url and not self.broadcast_url.startswith(("http://", "https://")):
            raise ValueError("broadcast_url must start with http:// or https://")
        if self.broadcast_url and not (self.broadcast_jwt_secret or self.broadcast_key):
            raise ValueError("broadcast_url needs broadcast_jwt_secret or broadcast_key")
        if self.supabase_url and not self.supabase_url.startswith(("http://", "https://")):
            raise ValueError("supabase_url must start with http:// or https://")
        if "@" in self.broadcast_url + self.supabase_url:
            raise ValueError("broadcast_url must have no user and password; set ALERTS_BROADCAST_JWT_SECRET")

    @property
    def address(self) -> str:
        """Return where broadcasts go; empty when nobody said so."""
        own = (
            f"{self.supabase_url.rstrip('/')}/realtime/v1/api/broadcast"
            if self.supabase_url and self.broadcast_key
            else ""
        )
        return self.broadcast_url or own

    def token(self, at: int) -> str:
        """Return what a call is let in by: a token that is good for a minute, or the key."""
        if not self.broadcast_jwt_secret:
            return self.broadcast_key
        return jwt.encode(
            {"role": "service_role", "iat": at, "exp": at + 60}, self.broadcast_jwt_secret, "HS256"
        )


class BroadcastRefused(ExpectedError):
    """the broadcast of alerts was answered with {status}; see ALERTS_BROADCAST_URL and
    ALERTS_BROADCAST_JWT_SECRET"""


class BroadcastUnreachable(ExpectedError):
    """the broadcast of alerts did not arrive ({problem}); it is sent again for five minutes"""


def _failed(error: BaseException) -> bool:
    return isinstance(error, httpx2.HTTPError)


def broadcast(alerts: Sequence[dict[str, Any]]) -> None:
    """Tell the channel of alerts, each a message of its own.

    Raises BroadcastRefused or BroadcastUnreachable.
    """
    policy = settings.read(Policy)
    messages = [{"topic": TOPIC, "event": "alert", "payload": one, "private": True} for one in alerts]
    token = policy.token(int(clock.epoch()))
    head = {"Authorization": f"Bearer {token}", "apikey": token}
    try:
        with breaker.guarded("supabase broadcast", _failed):
            answer = httpx2.post(policy.address, json={"messages": messages}, headers=head, timeout=_PATIENCE)
    except (httpx2.HTTPError, httpx2.InvalidURL, breaker.CircuitOpen) as error:
        raise BroadcastUnreachable(problem=error) from error
    if answer.status_code >= 300:
        raise BroadcastRefused(status=answer.status_code)
