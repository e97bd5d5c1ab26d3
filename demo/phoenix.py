"""The wire of Supabase Realtime: objects for vsn 1.0.0, arrays for 2.0.0. Enough of it for joins, heartbeats and broadcasts."""

from dataclasses import dataclass, field
from typing import Any

import orjson

JOIN, LEAVE, REPLY, HEARTBEAT = "phx_join", "phx_leave", "phx_reply", "heartbeat"
BROADCAST, PRESENCE = "broadcast", "presence"


@dataclass(frozen=True)
class Frame:
    """One message of a channel."""

    topic: str
    event: str
    payload: dict[str, Any] = field(default_factory=dict)
    ref: str | None = None
    join_ref: str | None = None

    def write(self, version: str) -> str:
        """Return it as text for a client of `version`."""
        if version.startswith("2"):
            return orjson.dumps([self.join_ref, self.ref, self.topic, self.event, self.payload]).decode()
        return orjson.dumps(vars(self)).decode()

    def reply(self, response: dict[str, Any], status: str = "ok") -> "Frame":
        """Return the answer to it."""
        return Frame(self.topic, REPLY, {"status": status, "response": response}, self.ref, self.join_ref)


def channel(topic: str) -> str:
    """Return what the registry calls a topic: Supabase's clients put a word before it."""
    return topic.removeprefix("realtime:")


def read(text: str | bytes) -> Frame | None:
    """Return a client's message in either version; None for what is none."""
    try:
        message = orjson.loads(text)
        # What is nested too deeply can be read and not written.
        orjson.dumps(message)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    if isinstance(message, list) and len(message) == 5:
        message = dict(zip(("join_ref", "ref", "topic", "event", "payload"), message, strict=True))
    if not isinstance(message, dict) or not isinstance(message.get("topic"), str) or not isinstance(message.get("event"), str):
        return None
    payload = message.get("payload")
    return Frame(
        message["topic"],
        message["event"],
        payload if isinstance(payload, dict) else {},
        message.get("ref"),
        message.get("join_ref"),
    )
