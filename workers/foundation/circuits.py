"""What is known of circuits, for who only looks: `breaker` opens and closes them."""

from dataclasses import dataclass

from workers.foundation import redis

#: The dependencies that ever failed.
KNOWN = "wedops:circuits"


@dataclass(frozen=True)
class Circuit:
    """What is known of a dependency's circuit: `closed` is well, `open` left alone, `half-open` being tried."""

    dependency: str
    state: str
    failures: int


def known() -> list[Circuit]:
    """Return the circuit of every dependency that ever failed."""
    names = sorted(redis.registry().smembers(KNOWN))
    with redis.registry().pipeline(transaction=False) as pipe:
        for name in names:
            pipe.mget(f"wedops:{name}:pybreaker:state", f"wedops:{name}:pybreaker:fail_counter")
        found = pipe.execute()
    return [Circuit(name, state or "closed", int(count or 0)) for name, (state, count) in zip(names, found, strict=True)]
