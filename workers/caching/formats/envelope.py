"""How an entry is written in the server: a header line that says what it is, then its body as JSON.

    w1 SHA1 KIND:ID… SCHEMA REVISION STATE MADE FRESH LOAD WARM ENCODING\n
    {"starts_at": …}

The checksum is of all that follows it: what was cut, mixed up or written by hand is refused. `STATE` is `is`
or `absent` (there is no such thing), `MADE` and `FRESH` are ms since 1970 by the server's clock, `LOAD` is
how many ms the load took, `WARM` names the warm-up that loaded it or is `-`, `ENCODING` is `json` or `zstd`.
"""

from hashlib import sha1
from typing import Any, NamedTuple

import orjson
import zstandard

from workers.caching.rules.kinds import FIELDS, SCHEMAS

MAGIC = b"w1"
PRESENT, ABSENT = "is", "absent"
#: No body is larger, in bytes, nor becomes larger when it is unpacked.
LARGEST = 1_000_000
#: Compression pays when it leaves less than this share.
_PAYS = 0.9


class Poisoned(Exception):
    """What the server holds under a name is none of our entries; `args[0]` says why."""


class Envelope(NamedTuple):
    """An entry as the server has it: moments in ms of the server's clock, `load` in ms."""

    name: str
    revision: int
    state: str
    made: int
    fresh: int
    load: int
    warm: str
    value: Any


def write(entry: Envelope, *, compress_above: int | None = None) -> bytes:
    """Return the text of an entry; a body above `compress_above` bytes is compressed where that pays.

    Raises Poisoned for one that no reader would take.
    """
    body, encoding = orjson.dumps(entry.value), "json"
    if len(body) > LARGEST:
        raise Poisoned("size")
    if compress_above is not None and len(body) > compress_above:
        packed = zstandard.ZstdCompressor(level=3).compress(body)
        if len(packed) < _PAYS * len(body):
            body, encoding = packed, "zstd"
    schema = SCHEMAS[entry.name.partition(":")[0]]
    facts = (entry.name, schema, entry.revision, entry.state, entry.made, entry.fresh, entry.load)
    rest = f"{' '.join(map(str, facts))} {entry.warm or '-'} {encoding}\n".encode() + body
    return b"%b %b %b" % (MAGIC, sha1(rest, usedforsecurity=False).hexdigest().encode(), rest)


def read(name: str, text: bytes) -> Envelope:
    """Return the entry that a text is, if it is the one called `name`. Raises Poisoned."""
    if text[:3] != b"w1 " or len(text) > 2 * LARGEST:
        raise Poisoned("not_an_entry")
    if sha1(text[44:], usedforsecurity=False).hexdigest().encode() != text[3:43]:
        raise Poisoned("checksum")
    end = text.find(b"\n", 44)
    try:
        found, schema, revision, state, made, fresh, load, warm, encoding = text[44:end].decode().split(" ")
        numbers = int(revision), int(made), int(fresh), int(load)
    except ValueError:
        raise Poisoned("header") from None
    if found != name:
        raise Poisoned("another_name")
    kind = name.partition(":")[0]
    if schema != str(SCHEMAS[kind]):
        raise Poisoned("schema")
    if min(numbers) < 0 or numbers[2] < numbers[1]:
        raise Poisoned("moments")
    value = _value(kind, state, encoding, text[end + 1 :])
    return Envelope(found, numbers[0], state, numbers[1], numbers[2], numbers[3], warm, value)


def checksum(text: bytes) -> str:
    """Return the checksum that an entry's text states: no two that differ have the same."""
    return text[3:43].decode()


def _value(kind: str, state: str, encoding: str, body: bytes) -> Any:
    if encoding == "zstd":
        body = _unpacked(body)
    elif encoding != "json":
        raise Poisoned("encoding")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Poisoned("body") from None
    if state == ABSENT and value is None:
        return None
    if state != PRESENT or type(value) is not dict or not value.keys() >= FIELDS[kind]:
        raise Poisoned("shape")
    return value


def _unpacked(body: bytes) -> bytes:
    try:
        # What says that it becomes larger is not unpacked: the library would make room for it first.
        if not 0 <= zstandard.frame_content_size(body) <= LARGEST:
            raise Poisoned("size")
        return zstandard.ZstdDecompressor().decompress(body)
    except zstandard.ZstdError:
        raise Poisoned("compression") from None
