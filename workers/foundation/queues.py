"""What waits in the broker: how much, and how old the oldest is."""

from dataclasses import dataclass
from math import isfinite

import orjson

from workers.foundation import clock, redis

#: Named by promise: `emergency` has a worker of its own, and so has `safety`, for short jobs that keep people
#: connected; `bulk` may wait. `warm_up` may grow long: its worker takes from it and from `bulk` in turn.
NAMES = ("emergency", "safety", "steady", "bulk", "warm_up")
#: Which tasks wait where: the first that fits.
ROUTES = (
    ("emergencies.*", {"queue": "emergency"}),
    ("delivery.send", {"queue": "emergency"}),
    ("delivery.*", {"queue": "bulk"}),
    ("alerts.*", {"queue": "safety"}),
    ("balancing.watch_nodes", {"queue": "safety"}),
    ("connections.publish_levels", {"queue": "safety"}),
    ("connections.sweep", {"queue": "safety"}),
    ("caching.forget", {"queue": "safety"}),
    ("caching.warm", {"queue": "warm_up"}),
    ("caching.warm_up", {"queue": "warm_up"}),
    ("caching.*", {"queue": "bulk"}),
    ("forecasting.*", {"queue": "bulk"}),
    ("journal.*", {"queue": "bulk"}),
    ("measurements.*", {"queue": "bulk"}),
    ("retention.*", {"queue": "bulk"}),
    ("seasons.*", {"queue": "bulk"}),
    ("snapshots.*", {"queue": "bulk"}),
    ("*", {"queue": "steady"}),
)
#: In seconds: nothing is taken for older, whatever it says of itself.
OLDEST = 366 * 86_400.0
#: kombu keeps a list for each priority; 0 is the queue's own name.
_PRIORITIES = ("", "\x06\x163", "\x06\x166", "\x06\x169")


@dataclass(frozen=True)
class Waiting:
    """A queue's depth, and the age of its oldest message in seconds (0 when it is empty)."""

    name: str
    depth: int
    oldest: float


def lengths_and_ages() -> list[Waiting]:
    """Return what waits in each queue."""
    found = []
    for name in NAMES:
        # Anybody may have written anything there: bytes, not text.
        with redis.undecoded().pipeline(transaction=False) as pipe:
            for priority in _PRIORITIES:
                pipe.llen(name + priority)
            for priority in _PRIORITIES:
                # The tail is what is taken next: what waited longest of its priority.
                pipe.lindex(name + priority, -1)
            answers = pipe.execute()
        lengths, tails = answers[: len(_PRIORITIES)], answers[len(_PRIORITIES) :]
        ages = [_age(tail) for tail in tails if tail]
        found.append(Waiting(name, sum(lengths), max(ages, default=0.0)))
    return found


def _age(message: bytes) -> float:
    try:
        enqueued_at = orjson.loads(message)["headers"]["enqueued_at"]
        age = clock.epoch() - float(enqueued_at)
        return min(max(0.0, age), OLDEST) if isfinite(age) else 0.0
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        # Somebody wrote it who does not keep to the contract; its age is unknown.
        return 0.0
