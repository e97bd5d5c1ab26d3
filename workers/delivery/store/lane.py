"""The way to gateways and back: published by wedding, receipts and joins read from a stream."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis.exceptions import RedisError, ResponseError

from workers.delivery.formats import Message, wire
from workers.delivery.keys import GROUP, IN, SENT, URGENT
from workers.delivery.rules import RECEIPTS, Receipt, State
from workers.foundation import redis
from workers.foundation.errors import ExpectedError

#: Entries of one read, and for how many ms one waits for them.
AT_ONCE, BLOCK_MS = 200, 500
#: No server's clock is later: 2100, in ms.
LATEST_MS = 4_102_444_800_000
#: Who read entries and did not remember them in so many ms is gone: somebody else takes them.
ABANDONED_MS = 5_000


class ReceiptRefused(ExpectedError):
    """receipt refused: {problem}"""


@dataclass
class Heard:
    """What gateways said: receipts, (wedding, recipient) of those who joined, and the entries' ids."""

    ids: list[str] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    joined: list[tuple[str, str]] = field(default_factory=list)


def publish(found: Iterable[tuple[Message, Sequence[str]]]) -> None:
    """Publish messages to the gateways that hold sockets of their weddings."""
    # One by one: on a cluster there is no pipeline of publications.
    for message, to in found:
        redis.connections().publish(URGENT + message.wedding_id, wire(message, list(to)))


def forward(payload: str) -> str:
    """Publish what a notification of PostgreSQL said; return the message's identifier."""
    message: dict[str, Any] = orjson.loads(payload)["message"]
    redis.connections().publish(URGENT + message["wedding_id"], payload)
    return str(message["identifier"])


def hear(reader: str, *, abandoned: bool = True) -> Heard:
    """Return what gateways said and nobody remembered yet; waits for half a second at most.

    With `abandoned` also what a reader that died had read.
    """
    server = redis.connections()
    try:
        left = server.xautoclaim(IN, GROUP, reader, ABANDONED_MS, count=AT_ONCE)[1] if abandoned else []
        found = server.xreadgroup(GROUP, reader, {IN: ">"}, count=AT_ONCE, block=BLOCK_MS)
    except ResponseError as error:
        if "NOGROUP" not in str(error):
            raise
        # A server that is new, or was emptied.
        with suppress(ResponseError):
            server.xgroup_create(IN, GROUP, id="0", mkstream=True)
        return Heard()
    return _heard([*left, *(found[0][1] if found else ())])


def _heard(entries: Iterable[tuple[str, dict[str, str] | None]]) -> Heard:
    heard = Heard()
    for id, fields in entries:
        heard.ids.append(id)
        at_ms = min(int(id.partition("-")[0]), LATEST_MS)
        said = (fields or {}).get("receipts", "").split(" ")
        rows = zip(said[::4], said[1::4], said[2::4], said[3::4], strict=False)
        # What is none was not written by the functions: it must not keep others waiting for ever.
        heard.receipts += [Receipt(*row[:3], State(row[3]), at_ms) for row in rows if row[3] in RECEIPTS]
        came = (fields or {}).get("joined", "").split(" ")
        heard.joined += zip(came[::2], came[1::2], strict=False)
    return heard


def remembered(heard: Heard) -> None:
    """Take out of the stream what is remembered elsewhere."""
    if heard.ids:
        with redis.connections().pipeline(transaction=False) as pipe:
            pipe.xack(IN, GROUP, *heard.ids)
            pipe.xdel(IN, *heard.ids)
            pipe.execute()


def receipts(rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Say, as a gateway, how far messages got: (wedding, identifier, recipient, state), 500 at most.

    Raises ReceiptRefused.
    """
    _call("wedops_receipts", rows)


def joined(came: Sequence[tuple[str, str]]) -> None:
    """Say, as a gateway, that (wedding, recipient) came and may have missed something, 500 at most.

    Raises ReceiptRefused.
    """
    _call("wedops_joined", came)


def _call(function: str, rows: Sequence[Sequence[str]]) -> Any:
    with redis.named_errors("wedops_delivery", ReceiptRefused):
        return redis.connections().fcall(function, 1, IN, *(word for row in rows for word in row))


def sent_this_second(sender: str, second: int) -> int:
    """Count a message of a caller; return how many it sent in this second. 0 while Redis is unavailable."""
    key = f"{SENT}{sender}:{second}"
    try:
        with redis.connections().pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 2)
            return int(pipe.execute()[0])
    except RedisError:
        # What is urgent goes out, also when nobody can count it.
        return 0
