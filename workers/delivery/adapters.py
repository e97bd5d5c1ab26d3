"""Broadcasts of a Supabase deployment, on connections that are kept open."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import httpx2
import jwt

from workers.foundation import breaker, clock, settings
from workers.foundation.errors import ExpectedError

#: In seconds.
PATIENCE = 3.0


@dataclass(frozen=True)
class Broadcasts:
    """Where a deployment takes broadcasts, and by what it lets us in."""

    prefix: ClassVar[str]
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
            raise ValueError(
                f"broadcast_url must have no user and password; set {self.prefix}BROADCAST_JWT_SECRET"
            )

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


@dataclass(frozen=True)
class Policy(Broadcasts):
    """Where urgent messages are broadcast beside our own gateways, as ALERTS_BROADCAST_URL is for alerts.

    Best effort: receipts say who has them, and who has not is reached otherwise.
    """

    prefix: ClassVar = "DELIVERY_"


class BroadcastRefused(ExpectedError):
    """the broadcast was answered with {status}; see {prefix}BROADCAST_URL and {prefix}BROADCAST_JWT_SECRET"""


class BroadcastUnreachable(ExpectedError):
    """the broadcast did not arrive ({problem}); it is sent again"""


@cache
def _client() -> httpx2.Client:
    return httpx2.Client(timeout=PATIENCE)


def _failed(error: BaseException) -> bool:
    return isinstance(error, httpx2.HTTPError)


def post(policy: Broadcasts, messages: Sequence[dict[str, Any]]) -> None:
    """Broadcast messages, each {topic, event, payload, private}.

    Raises BroadcastRefused or BroadcastUnreachable.
    """
    token = policy.token(int(clock.epoch()))
    head = {"Authorization": f"Bearer {token}", "apikey": token}
    try:
        with breaker.guarded("supabase broadcast", _failed):
            answer = _client().post(policy.address, json={"messages": list(messages)}, headers=head)
    except (httpx2.HTTPError, httpx2.InvalidURL, breaker.CircuitOpen) as error:
        raise BroadcastUnreachable(problem=error) from error
    if answer.status_code >= 300:
        raise BroadcastRefused(status=answer.status_code, prefix=policy.prefix)


def policy() -> Policy:
    """Return DELIVERY_BROADCAST_…"""
    return settings.read(Policy)
