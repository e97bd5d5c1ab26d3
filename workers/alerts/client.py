"""Alerts told live, on a channel of Supabase Realtime: best effort, beside the notifications that are not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import jwt

from workers.foundation import breaker, clock, settings
from workers.foundation.errors import Anticipated

TOPIC = "ops:alerts"
#: Supabase's smallest plan takes 256 kB a message; an alert is told in 2, and so many at once.
LINE, MOST = 500, 50
_PATIENCE = 3.0


@dataclass(frozen=True)
class Policy:
    """`broadcast_url` is where a deployment takes broadcasts, https://PROJECT/realtime/v1/api/broadcast; none is told without.

    `broadcast_jwt_secret` signs a token of a minute for each call.
    """

    broadcast_url: str = ""
    broadcast_jwt_secret: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        if self.broadcast_url and not self.broadcast_url.startswith(("http://", "https://")):
            raise ValueError("broadcast_url must start with http:// or https://")
        if self.broadcast_url and not self.broadcast_jwt_secret:
            raise ValueError("broadcast_url needs broadcast_jwt_secret")
        if "@" in self.broadcast_url:
            raise ValueError("broadcast_url must have no user and password; set ALERTS_BROADCAST_JWT_SECRET")


class BroadcastRefused(Anticipated):
    """the broadcast of alerts was answered with {status}; see ALERTS_BROADCAST_URL and ALERTS_BROADCAST_JWT_SECRET"""


class BroadcastUnreachable(Anticipated):
    """the broadcast of alerts did not arrive ({problem}); it is sent again with the next change"""


def _failed(error: BaseException) -> bool:
    return isinstance(error, httpx2.HTTPError)


def broadcast(alerts: Sequence[dict[str, Any]]) -> None:
    """Tell the channel of alerts, each a message of its own. Raises BroadcastRefused or BroadcastUnreachable."""
    policy, now = settings.read(Policy, "ALERTS_"), int(clock.epoch())
    messages = [{"topic": TOPIC, "event": "alert", "payload": one, "private": True} for one in alerts[:MOST]]
    token = jwt.encode({"role": "service_role", "iat": now, "exp": now + 60}, policy.broadcast_jwt_secret, "HS256")
    head = {"Authorization": f"Bearer {token}", "apikey": token}
    try:
        with breaker.guarded("supabase broadcast", _failed):
            answer = httpx2.post(policy.broadcast_url, json={"messages": messages}, headers=head, timeout=_PATIENCE)
    except (httpx2.HTTPError, httpx2.InvalidURL, breaker.CircuitOpen) as error:
        raise BroadcastUnreachable(problem=error) from error
    if answer.status_code >= 300:
        raise BroadcastRefused(status=answer.status_code)
