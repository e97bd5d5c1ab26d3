"""What the last look at each wedding found, in Redis: losing it costs one look."""

from collections.abc import Iterable, Mapping

from workers.foundation import redis
from workers.wedding_day.keys import SEEN
from workers.wedding_day.rules.looks import Seen


def seen(ids: list[str]) -> dict[str, Seen]:
    """Return what was found last, by wedding id."""
    found = redis.registry().hmget(SEEN, ids) if ids else []
    return {wedding_id: Seen.read(text) for wedding_id, text in zip(ids, found, strict=True)}


def remember(found: Mapping[str, Seen]) -> None:
    """Remember what was found, by wedding id."""
    if found:
        redis.registry().hset(SEEN, mapping={wedding_id: str(one) for wedding_id, one in found.items()})


def forget(ids: Iterable[str]) -> None:
    """Forget weddings of which nothing is due any more."""
    if over := list(ids):
        redis.registry().hdel(SEEN, *over)
