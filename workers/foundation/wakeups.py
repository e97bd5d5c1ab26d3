"""Waiting for PostgreSQL's notifications."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from workers.foundation import database, settings


@contextmanager
def listening(*channels: str) -> Iterator[Callable[[float], bool]]:
    """Yield a function that waits some seconds at most, and tells whether a channel was notified.

    On a connection of its own; names come from code, never from input. Behind a pooler that changes servers
    nothing is heard. Raises DatabaseUnavailable.
    """
    into, _session = database.conninfo(settings.servers().database_url)
    with database.named_errors(), psycopg.connect(**into, autocommit=True) as db:
        for channel in channels:
            db.execute(f"LISTEN {channel}".encode())
        yield lambda seconds: any(True for _ in db.notifies(timeout=seconds, stop_after=1))
