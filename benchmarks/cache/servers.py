"""The servers of the benchmark: a Valkey for the cache, one that plays the source of races, a PostgreSQL."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.processes import servers as embedded


@contextmanager
def servers() -> Iterator[embedded.Server]:
    """Yield the PostgreSQL, with the calendar's tables, for the length of the block."""
    from workers.app import app
    from workers.foundation import database, redis, schema

    home = Path(tempfile.mkdtemp(prefix="wedops-bench-"))
    home.chmod(0o711)
    started = [
        embedded.start_valkey(home, "broker", embedded.BROKER),
        embedded.start_valkey(home, "cache", embedded.CACHE),
        embedded.start_postgres(home),
    ]
    names = ("WEDOPS_BROKER_URL", "WEDOPS_CACHE_URL", "WEDOPS_DATABASE_URL")
    os.environ |= dict(zip(names, (one.url for one in started), strict=True))
    # An entry expires soon, so that what happens then is seen.
    os.environ["CACHING_WEDDING_TTL"] = "1s"
    try:
        app.loader.import_default_modules()
        schema.upgrade()
        redis.load_functions()
        yield started[2]
    finally:
        database.engine().dispose()
        for one in reversed(started):
            one.stop()
        shutil.rmtree(home, ignore_errors=True)
