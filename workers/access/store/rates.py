"""How often each caller called in this minute, counted by all processes together."""

from redis.exceptions import RedisError

from workers.access.keys import RATES
from workers.foundation import redis

WINDOW = 60


def count(caller: str, minute: int) -> int:
    """Count a call; return how many there were in this minute. 0 while Redis is unavailable."""
    key = f"{RATES}{caller}:{minute}"
    try:
        with redis.registry().pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 2 * WINDOW)
            return int(pipe.execute()[0])
    except RedisError:
        # Who may call is not kept out because nobody can count.
        return 0
