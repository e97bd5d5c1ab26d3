"""One transaction for all that a request does: whoever begins one within it goes on in that one.

So what a use case writes by itself, and what is remembered of the request, are there together or not at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy import Connection

_current: ContextVar[Connection | None] = ContextVar("transaction", default=None)


def current() -> Connection | None:
    """Return the transaction that this context goes on in; None where it begins its own."""
    return _current.get()


@contextmanager
def joining(db: Connection) -> Iterator[None]:
    """Have what begins a transaction in this block go on in that of `db`."""
    before = _current.set(db)
    try:
        yield
    finally:
        _current.reset(before)
