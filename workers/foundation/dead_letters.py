"""What came in and could not be taken: kept with its reason, for who wants to see it and send it again."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from workers.foundation import keys, queues, redis, signatures
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment

#: The newest so many are kept; of a larger one only its reason.
MAX, LARGEST = 1_000, 100_000


_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,10}")


class LetterUnknown(ExpectedError):
    """there is no dead letter {id!r}; `wedops dead-letters` lists those that are kept"""


class LetterNotKept(ExpectedError):
    """dead letter {id!r} can't be sent again: it was no message, or too large to be kept"""


@dataclass(frozen=True)
class Letter:
    """A refused message: where it waited, why it was refused, and itself when it is kept, else empty."""

    id: str
    at: MachineMoment
    queue: str
    reason: str
    message: bytes

    @property
    def task(self) -> str:
        """Return which task it names; empty when none can be read."""
        try:
            headers = orjson.loads(self.message)["headers"]
            return str(headers["task"])[:100] if isinstance(headers["task"], str) else ""
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return ""


def keep(queue: str, reason: str, message: bytes = b"") -> None:
    """Keep what could not be taken; a reason has no word of what it said."""
    fields = {"queue": queue, "reason": reason[:300], "message": message if len(message) <= LARGEST else b""}
    redis.undecoded().xadd(keys.DEAD_LETTERS, fields, maxlen=MAX)


def enveloped(
    task: str, id: str, args: Sequence[Any], kwargs: Mapping[str, Any], queue: str, *, caller: str = ""
) -> bytes:
    """Return a task's message as its queue had it; a `caller` who is not ourselves stays named.

    That is Celery's protocol 2 in kombu's envelope for Redis.
    """
    # Python's own: it writes half characters, which are no text, as it read them.
    body = b64encode(json.dumps([args or [], kwargs or {}, {}]).encode()).decode()
    wrapping = {"content-type": "application/json", "content-encoding": "utf-8"}
    delivery = {
        "delivery_info": {"exchange": "", "routing_key": queue},
        "delivery_tag": id,
        "body_encoding": "base64",
    }
    properties = delivery | {"correlation_id": id, "priority": 0}
    headers = {"lang": "py", "task": task, "id": id} | ({"signature": {"caller": caller}} if caller else {})
    return orjson.dumps(wrapping | {"body": body, "headers": headers, "properties": properties})


def count() -> int:
    """Return how many are kept."""
    return int(redis.undecoded().xlen(keys.DEAD_LETTERS))


def newest(limit: int = 50) -> list[Letter]:
    """Return the newest, the last one first."""
    return [_letter(id, fields) for id, fields in redis.undecoded().xrevrange(keys.DEAD_LETTERS, count=limit)]


def replay(id: str) -> Letter:
    """Send a message again, to the end of its queue, and forget the letter.

    Raises LetterUnknown, LetterNotKept.
    """
    found = redis.undecoded().xrange(keys.DEAD_LETTERS, min=id, max=id) if _ID.fullmatch(id) else []
    if not found:
        raise LetterUnknown(id=id)
    letter = _letter(*found[0])
    if not letter.message or letter.queue not in queues.NAMES:
        raise LetterNotKept(id=id)
    if not redis.undecoded().fcall(
        "wedops_letter_replay", 2, keys.DEAD_LETTERS, letter.queue, id, _signed(letter.message)
    ):
        # Somebody else just did.
        raise LetterUnknown(id=id)
    return letter


def _signed(message: bytes) -> bytes:
    """Return a message signed by who replays it: it was unsigned, or signed too long ago.

    What somebody else signed stays theirs: they could not send more by having it refused.
    """
    try:
        found = orjson.loads(message)
        if (found["headers"].get("signature") or {}).get("caller", signatures.OWN) != signatures.OWN:
            return message
        signatures.sign(found, signatures.policy().keys)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return message
    return orjson.dumps(found)


def _letter(id: bytes, fields: dict[bytes, bytes]) -> Letter:
    milliseconds = int(id.partition(b"-")[0])
    queue, reason = (fields.get(name, b"").decode("utf-8", "replace") for name in (b"queue", b"reason"))
    at = MachineMoment(datetime.fromtimestamp(milliseconds / 1000, UTC))
    return Letter(id.decode(), at, queue, reason, fields.get(b"message", b""))
