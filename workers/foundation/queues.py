"""What waits in the broker: how much, and how old the oldest is."""

from dataclasses import dataclass

import orjson

from workers.foundation import clock, redis

#: Named by promise; workers/app.py routes to them.
NAMES = ("emergency", "steady", "bulk")
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
        return max(0.0, clock.epoch() - float(enqueued_at))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        # Somebody wrote it who does not keep to the contract; its age is unknown.
        return 0.0
