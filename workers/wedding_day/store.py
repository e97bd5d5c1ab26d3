"""What the last look at each wedding found, in Redis: losing it costs one look."""

from workers.foundation import redis
from workers.wedding_day.keys import SEEN
from workers.wedding_day.rules import Seen


def seen(ids: list[str]) -> list[Seen]:
    """Return what was found last, in the order of `ids`."""
    return [Seen.read(text) for text in redis.registry().hmget(SEEN, ids)] if ids else []


def remember(found: dict[str, Seen]) -> None:
    """Remember what was found, by wedding id."""
    if found:
        redis.registry().hset(SEEN, mapping={wedding_id: str(one) for wedding_id, one in found.items()})
