"""Who of a wedding is online by its deployment's own Presence."""

from collections.abc import Mapping

from workers.connections.keys import PRESENT
from workers.foundation import redis

#: In seconds: for how long somebody stays online whom nobody names again.
LASTS = 60


def note(wedding_id: str, users: Mapping[str, str]) -> None:
    """Remember who of a wedding is online by its deployment's own Presence."""
    with redis.connections().pipeline(transaction=True) as pipe:
        pipe.delete(PRESENT + wedding_id)
        if users:
            pipe.hset(PRESENT + wedding_id, mapping=dict(users))
            pipe.expire(PRESENT + wedding_id, LASTS)
        pipe.execute()


def of(wedding_id: str) -> dict[str, str]:
    """Return who of a wedding is online by its deployment's own Presence, user id -> user type."""
    found: dict[str, str] = redis.connections().hgetall(PRESENT + wedding_id)
    return found
