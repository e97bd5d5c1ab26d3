"""Waiting for PostgreSQL's notifications."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from workers.foundation import database, settings

#: The longest text that a notification takes, in bytes, less what we leave to be safe.
LONGEST = 7_900


@contextmanager
def listening(*channels: str) -> Iterator[Callable[[float], bool]]:
    """Yield a function that waits some seconds at most, and tells whether a channel was notified.

    On a connection of its own; names come from code, never from input. Behind a pooler that changes servers
    nothing is heard. Raises DatabaseUnavailable.
    """
    with hearing(*channels) as heard:
        yield lambda seconds: bool(heard(seconds))


@contextmanager
def hearing(*channels: str) -> Iterator[Callable[[float], list[str]]]:
    """Yield the same, but a function that returns what the notifications say; none in time, nothing."""
    into, _session = database.conninfo(settings.servers().database_url)
    with database.named_errors(), psycopg.connect(**into, autocommit=True) as db:
        for channel in channels:
            db.execute(f"LISTEN {channel}".encode())
        yield lambda seconds: [one.payload for one in db.notifies(timeout=seconds, stop_after=1)]
