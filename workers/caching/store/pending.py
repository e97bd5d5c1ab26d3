"""Warm-ups that wait, on the server of the registry: whoever dies on the way loses none."""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from workers.caching.keys import PENDING, WARMED_SERVER
from workers.foundation import redis


@dataclass(frozen=True)
class Pending:
    """A wedding to be warmed up under a key; `until` (epoch seconds of the world) its people come."""

    key: str
    wedding_id: str
    why: str
    until: float


def add(wanted: Iterable[Pending]) -> None:
    """Have weddings warmed up, those first whose people come first."""
    if scores := {orjson.dumps(vars(one)).decode(): one.until for one in wanted}:
        redis.registry().zadd(PENDING, scores)


def first(limit: int, *, after: int = 0) -> list[Pending]:
    """Return the warm-ups that are due first, after so many; they wait until `done`.

    What another version of ours wrote, in a form that is not known, is dropped.
    """
    found, server = [], redis.registry()
    for text in server.zrange(PENDING, after, after + limit - 1):
        try:
            found.append(Pending(**orjson.loads(text)))
        except (TypeError, orjson.JSONDecodeError):
            server.zrem(PENDING, text)
    return found


def done(finished: Iterable[Pending]) -> None:
    """Take warm-ups out."""
    if texts := [orjson.dumps(vars(one)).decode() for one in finished]:
        redis.registry().zrem(PENDING, *texts)


def count() -> int:
    """Return how many warm-ups wait."""
    return int(redis.registry().zcard(PENDING))


def is_new_server() -> bool:
    """Tell whether the cache's server is another one than at the last call: what was warm is lost then.

    The first call tells of none.
    """
    run_id = redis.cache_server().info("server")["run_id"]
    before = redis.registry().getset(WARMED_SERVER, run_id)
    return before is not None and before != run_id
