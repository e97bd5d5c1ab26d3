"""Up to which version of the calendar changes have reached the cache's server."""

from workers.caching.keys import ENTRIES, MARK, MARK_KEPT, RESET
from workers.caching.store.server import tell
from workers.foundation import redis


def get() -> tuple[int | None, str]:
    """Return the version, and the last wedding of it when there are more; None where no mark was ever left.

    A server without a mark has nothing from before the last change that its predecessor heard of, or had to
    evict the mark: then the copy on the registry's says it.
    """
    mark = redis.cache_server().get(MARK) or redis.registry().get(MARK_KEPT) or ""
    version, _, after = mark.partition("/")
    return (int(version), after) if version.isdigit() else (None, "")


def put(version: int, after: str) -> None:
    """Note up to which wedding of which version changes have reached the server."""
    redis.cache_server().set(MARK, f"{version}/{after}")
    redis.registry().set(MARK_KEPT, f"{version}/{after}")


def reset(version: int) -> None:
    """Begin at a version, with nothing from before it: what is there cannot be known to be right."""
    server = redis.cache_server()
    for key in server.scan_iter(match=f"{ENTRIES}*", count=1000):
        server.unlink(key)
    put(version, "")
    tell(RESET)
