"""How much of a processor the bodies of a source may take: who sends what is slow to read, waits."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workers.foundation import clock
from workers.foundation.errors import ExpectedError

#: In seconds of a processor: what a source may take at once, and what it gets back each second.
AT_ONCE, EACH_SECOND = 4.0, 0.25


class ParsedTooMuch(ExpectedError):
    """what {source} sends takes too long to read; send smaller batches, or OTLP as protobuf, in a while"""

    http_status = 429


@dataclass
class _Allowance:
    left: float = AT_ONCE
    at: float = 0.0


_allowances: dict[str, _Allowance] = {}


@contextmanager
def parsing(source: str) -> Iterator[None]:
    """Read a body of a source in this block, on its account. Raises ParsedTooMuch.

    Sources are tokens' names, so there are few.
    """
    own, at = _allowances.setdefault(source, _Allowance()), clock.stopwatch()
    own.left, own.at = min(AT_ONCE, own.left + (at - own.at) * EACH_SECOND), at
    if own.left <= 0:
        raise ParsedTooMuch(source=source)
    begun = clock.processor()
    try:
        yield
    finally:
        own.left -= clock.processor() - begun
