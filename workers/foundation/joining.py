"""One transaction for all that a request does: whoever begins one within it goes on in that one.

So what a use case writes by itself, and what is remembered of the request, are there together or not at all.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from sqlalchemy import Connection


@dataclass
class _Joined:
    db: Connection
    later: list[Callable[[], object]] = field(default_factory=list)


_current: ContextVar[_Joined | None] = ContextVar("transaction", default=None)


def current() -> Connection | None:
    """Return the transaction that this context goes on in; None where it begins its own."""
    joined = _current.get()
    return joined.db if joined else None


@contextmanager
def joining(db: Connection) -> Iterator[list[Callable[[], object]]]:
    """Have what begins a transaction in this block go on in that of `db`.

    Yield what is to be done once that is committed.
    """
    joined = _Joined(db)
    before = _current.set(joined)
    try:
        yield joined.later
    finally:
        _current.reset(before)


def afterwards(work: Callable[[], object]) -> None:
    """Do something once the transaction of this context is committed; now, where it is in none."""
    if joined := _current.get():
        joined.later.append(work)
    else:
        work()
