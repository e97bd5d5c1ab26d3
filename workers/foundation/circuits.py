"""What is known of circuits, for who only looks: `breaker` opens and closes them."""

from dataclasses import dataclass

from workers.foundation import keys, redis


@dataclass(frozen=True)
class Circuit:
    """What is known of a dependency's circuit.

    `closed` is well, `open` left alone, `half-open` being tried.
    """

    dependency: str
    state: str
    failures: int


def known() -> list[Circuit]:
    """Return the circuit of every dependency that ever failed."""
    names = sorted(redis.registry().smembers(keys.CIRCUITS))
    with redis.registry().pipeline(transaction=False) as pipe:
        for name in names:
            pipe.mget(f"{keys.circuit(name)}:pybreaker:state", f"{keys.circuit(name)}:pybreaker:fail_counter")
        found = pipe.execute()
    return [
        Circuit(name, state or "closed", int(count or 0))
        for name, (state, count) in zip(names, found, strict=True)
    ]
