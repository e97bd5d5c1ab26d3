"""Alerts published live, on a channel of Supabase Realtime.

Best effort, beside the notifications that are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from workers.delivery import adapters as broadcasts
from workers.delivery.adapters import Broadcasts
from workers.foundation import settings

TOPIC = "ops:alerts"
#: So many at once.
MAX = 50


@dataclass(frozen=True)
class Policy(Broadcasts):
    """Where alerts are broadcast, https://PROJECT/realtime/v1/api/broadcast; without, none is.

    A secret signs a token of a minute for each call, a key is sent as it is. With a project's address and a
    key its own broadcasts are used.
    """

    prefix: ClassVar = "ALERTS_"


def broadcast(alerts: Sequence[dict[str, Any]]) -> None:
    """Tell the channel of alerts, each a message of its own.

    Raises BroadcastRefused or BroadcastUnreachable.
    """
    messages = [{"topic": TOPIC, "event": "alert", "payload": one, "private": True} for one in alerts]
    broadcasts.post(settings.read(Policy), messages)
