"""How well each wedding is connected."""

from collections.abc import Mapping

from workers.connections.keys import QUALITY
from workers.foundation import redis

#: In seconds: for how long a quality is known after the last measurement of all.
LASTS = 600


def note(scores: Mapping[str, float]) -> None:
    """Remember how well each wedding is connected."""
    if scores:
        redis.connections().hset(
            QUALITY, mapping={wedding: round(score, 1) for wedding, score in scores.items()}
        )
        redis.connections().expire(QUALITY, LASTS)


def of(wedding_id: str) -> float | None:
    """Return a wedding's mean quality score, 0-100; None when it was not measured of late."""
    found = redis.connections().hget(QUALITY, wedding_id)
    return None if found is None else float(found)
