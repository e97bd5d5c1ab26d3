"""What happened that no table has.

Restarts, circuits, modes that were switched, what was published without the database.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from redis.exceptions import RedisError

from workers.foundation import clock, keys, redis
from workers.foundation.moments import Moment

#: The newest so many are kept.
MAX = 10_000


@dataclass(frozen=True)
class Happening:
    """Something that happened: where, at which wedding (empty: all, or none in particular), and by whom."""

    at: Moment
    what: str
    region: str = ""
    wedding_id: str = ""
    by: str = ""


def note(what: str, *, by: str = "") -> None:
    """Write down what happened just now; while Redis is unavailable the log alone tells."""
    with suppress(RedisError):
        redis.registry().xadd(
            keys.EVENT_LOG,
            {"at": clock.now().isoformat(), "what": what[:500], "by": by},
            maxlen=MAX,
            approximate=True,
        )


def lately(seconds: float) -> list[str]:
    """Return what was noted in the last seconds of the machine's."""
    rows = redis.registry().xrange(keys.EVENT_LOG, min=int((clock.epoch() - seconds) * 1000))
    return [row["what"] for _, row in rows]


def since(moment: datetime, *, limit: int = 500) -> list[Happening]:
    """Return what was noted from a moment of the world's on, the newest `limit`, the oldest first."""
    rows = redis.registry().xrevrange(keys.EVENT_LOG, count=limit)
    found = [
        Happening(Moment(datetime.fromisoformat(row["at"])), row["what"], by=row["by"]) for _, row in rows
    ]
    return [one for one in reversed(found) if one.at >= moment]
