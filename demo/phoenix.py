"""The wire of Supabase Realtime.

Objects for vsn 1.0.0, arrays for 2.0.0. Enough of it for joins, heartbeats and broadcasts.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

JOIN, LEAVE, REPLY, HEARTBEAT = "phx_join", "phx_leave", "phx_reply", "heartbeat"
BROADCAST, PRESENCE, ACCESS_TOKEN = "broadcast", "presence", "access_token"
#: Kinds of binary frames of 2.0.0, and what stands before a pushed one's texts.
_PUSHED, _BROADCAST_KIND, _HEAD = 3, 4, 7


@dataclass(frozen=True)
class Frame:
    """One message of a channel."""

    topic: str
    event: str
    payload: dict[str, Any] = field(default_factory=dict)
    ref: str | None = None
    join_ref: str | None = None

    def write(self, version: str) -> str | bytes | None:
        """Return it for a client of `version`; None for bytes that somebody of 1.0.0 can't be told."""
        if isinstance(said := self.payload.get("payload"), bytes):
            return _binary(self.topic, str(self.payload["event"]), said) if version.startswith("2") else None
        if version.startswith("2"):
            return orjson.dumps([self.join_ref, self.ref, self.topic, self.event, self.payload]).decode()
        return self.text()

    def text(self) -> str:
        """Return it for a client of 1.0.0."""
        return orjson.dumps(vars(self)).decode()

    def reply(self, response: dict[str, Any], status: str = "ok") -> "Frame":
        """Return the answer to it."""
        return Frame(self.topic, REPLY, {"status": status, "response": response}, self.ref, self.join_ref)


def presence_key(payload: dict[str, Any]) -> object:
    """Return the key under which somebody who joins wants to be present; None for none."""
    asked = payload.get("config")
    presence = asked.get("presence") if isinstance(asked, dict) else None
    return presence.get("key") if isinstance(presence, dict) else None


def config(payload: dict[str, Any]) -> tuple[bool, bool]:
    """Return whether a client that joins hears its own broadcasts, and whether each is acknowledged."""
    asked = payload.get("config")
    broadcast = asked.get("broadcast") if isinstance(asked, dict) else None
    found = broadcast if isinstance(broadcast, dict) else {}
    return bool(found.get("self")), bool(found.get("ack"))


def _binary(topic: str, event: str, payload: bytes) -> bytes:
    """Return a broadcast as 2.0.0 has it.

    Kind, sizes of topic, event and metadata, encoding (0: bytes), then all of them.
    """
    names = topic.encode(), event.encode()
    return bytes([_BROADCAST_KIND, *map(len, names), 0, 0]) + b"".join(names) + payload


def _pushed(data: bytes) -> Frame | None:
    """Read a broadcast that somebody of 2.0.0 pushes.

    It has a kind, five sizes, an encoding (1: JSON), five texts and the payload.
    """
    if len(data) < _HEAD or data[0] != _PUSHED:
        return None
    parts, at = [], _HEAD
    for size in data[1:6]:
        parts.append(data[at : at + size].decode("utf-8", "replace"))
        at += size
    join_ref, ref, topic, event, _metadata = parts
    try:
        payload = orjson.loads(data[at:]) if data[6] == 1 else data[at:]
    except orjson.JSONDecodeError:
        return None
    if at > len(data) or not topic:
        return None
    return Frame(
        topic,
        BROADCAST,
        {"type": BROADCAST, "event": event, "payload": payload},
        ref or None,
        join_ref or None,
    )


def read(text: str | bytes) -> Frame | None:
    """Return a client's message in either version; None for what is none."""
    if isinstance(text, bytes):
        return _pushed(text)
    try:
        message = orjson.loads(text)
        # What is nested too deeply can be read and not written.
        orjson.dumps(message)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    if isinstance(message, list) and len(message) == 5:
        message = dict(zip(("join_ref", "ref", "topic", "event", "payload"), message, strict=True))
    if (
        not isinstance(message, dict)
        or not isinstance(message.get("topic"), str)
        or not isinstance(message.get("event"), str)
    ):
        return None
    payload = message.get("payload")
    return Frame(
        message["topic"],
        message["event"],
        payload if isinstance(payload, dict) else {},
        message.get("ref"),
        message.get("join_ref"),
    )
