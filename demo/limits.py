"""What one connection may do: who does more is closed, so that nobody else notices."""

import os
from dataclasses import dataclass

from websockets.typing import Origin

from demo import phoenix

#: Supabase's own client sends ten messages a second at most; a burst is somebody who scrolls.
MESSAGES, MESSAGES_AT_ONCE = 20.0, 100.0
BYTES, BYTES_AT_ONCE = 100_000.0, 500_000.0
#: The largest message, what one socket may be in, and the largest thing that somebody may track of
#: themselves.
LARGEST, TOPICS, PRESENCE = 250_000, 100, 4_000
#: The largest broadcast: it is sent whole, and stands before what is urgent.
BROADCAST = 16_000
TOO_FAST = "too_fast"


@dataclass
class Allowance:
    """What is left of a connection's messages and bytes; both fill up again with time."""

    messages: float = MESSAGES_AT_ONCE
    bytes: float = BYTES_AT_ONCE
    at: float = 0.0

    def spend(self, size: int, at: float) -> bool:
        """Take one message of a size; False when there is not so much left."""
        passed, self.at = max(0.0, at - self.at), at
        self.messages = min(MESSAGES_AT_ONCE, self.messages + passed * MESSAGES) - 1
        self.bytes = min(BYTES_AT_ONCE, self.bytes + passed * BYTES) - size
        return self.messages >= 0 and self.bytes >= 0


def problem(frame: phoenix.Frame, size: int, topics: int) -> str:
    """Return why a message is not taken, or nothing."""
    if frame.event == phoenix.JOIN and topics >= TOPICS:
        return f"too many topics: {TOPICS} at most"
    if frame.event == phoenix.BROADCAST and size > BROADCAST:
        return (
            f"too large: a broadcast may have {BROADCAST} bytes, so that what is urgent need not wait for it"
        )
    if frame.event == phoenix.PRESENCE and size > PRESENCE:
        return f"too large: what is tracked may have {PRESENCE} bytes"
    return ""


def origins() -> list[Origin | None] | None:
    """Return from which pages browsers may come (GATEWAY_ORIGINS, spaces between them).

    None is all. Who names none is none.
    """
    named = os.environ.get("GATEWAY_ORIGINS", "").split()
    return [None, *map(Origin, named)] if named else None
