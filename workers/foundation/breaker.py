"""Circuit breakers around what may be unavailable, shared by all processes.

Who fails five times in a row is left alone for a while. pybreaker decides, Redis remembers. After the pause
one call, of all processes, is the probe: it closes the circuit or opens it again.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

from billiard.exceptions import SoftTimeLimitExceeded
from pybreaker import (
    STATE_CLOSED,
    STATE_HALF_OPEN,
    STATE_OPEN,
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitRedisStorage,
)
from redis.exceptions import RedisError

from workers.foundation import clock, event_log, keys, logs, redis, waiting
from workers.foundation.errors import UNAVAILABLE, ExpectedError

log = logs.get("foundation")
# Redis being unavailable is reported by who needs it; here it means only that circuits are as good as closed.
logging.getLogger("pybreaker").setLevel(logging.CRITICAL)

#: Each kind of dependency, and for how many seconds it is left alone. A name may go on with which one:
#: `supabase host:4000`.
PAUSES = {"database": 3, "cache": 3, "supabase": 30, "weather": 60}
FAILURES = 5
#: A failure is forgotten after this many seconds without another.
REMEMBERED = 60
#: A process asks for the shared state this often: a call must not cost a round trip.
CHECKED_EVERY = 1.0


class CircuitOpen(ExpectedError):
    """{dependency} failed {failures} times in a row and is left alone for {seconds} s; see `wedops status`"""

    exit_code = UNAVAILABLE


class _Shared(CircuitRedisStorage):
    """Redis's state, asked for once a second; a success is reported only after a failure."""

    _checked, _reported, _failed = -CHECKED_EVERY, STATE_CLOSED, False

    @property
    def state(self) -> str:
        if clock.stopwatch() - self._checked >= CHECKED_EVERY:
            # Stamped when it was said: a Redis that hangs must not be asked again by the next call.
            self._reported = super().state
            self._checked = clock.stopwatch()
        return self._reported

    @state.setter
    def state(self, state: str) -> None:
        self._checked, self._reported = clock.stopwatch(), state
        CircuitRedisStorage.state.fset(self, state)  # type: ignore[attr-defined]

    def increment_counter(self) -> None:
        self._failed = True
        super().increment_counter()
        with suppress(*redis.UNREACHABLE):
            self._redis.expire(self._namespace("fail_counter"), REMEMBERED)
            self._redis.sadd(keys.CIRCUITS, str(self._namespace_name).removeprefix(keys.circuit("")))

    def reset_counter(self) -> None:
        if self._failed:
            self._failed = False
            super().reset_counter()

    def _initialize_redis_state(self, state: str) -> None:
        # A circuit that never opened needs no keys, and a Redis that is unavailable must not keep anybody
        # from starting.
        pass


class _Watch(CircuitBreakerListener):
    def before_call(self, cb: CircuitBreaker, *_call: object, **_more: object) -> None:
        if cb.current_state != STATE_HALF_OPEN:
            return
        # Gone with the pause: a process that dies on its probe leaves it to the next.
        with suppress(*redis.UNREACHABLE):
            if not redis.registry().set(keys.probe(str(cb.name)), 1, nx=True, ex=int(cb.reset_timeout)):
                raise CircuitBreakerError("another process is trying it")

    def state_change(self, cb: CircuitBreaker, old_state: object, new_state: object) -> None:
        before, after = (getattr(state, "name", "") for state in (old_state, new_state))
        log.warning(
            "circuit",
            dependency=cb.name,
            before=before,
            to=after,
            reason="calls_fail" if after == "open" else "probe",
        )
        _note(str(cb.name), before, after)
        if after == STATE_CLOSED:
            with suppress(*redis.UNREACHABLE):
                redis.registry().delete(keys.probe(str(cb.name)))


def _note(name: str, before: str, after: str) -> None:
    """Write down that a circuit opened or closed: once, whoever sees it, and not each try in between."""
    if (before, after) == (STATE_HALF_OPEN, STATE_OPEN) or after == STATE_HALF_OPEN:
        return
    with suppress(RedisError):
        if redis.registry().set(keys.noted(name, after), 1, nx=True, ex=30):
            event_log.note(f"circuit of {name} is {after}", by="circuit breaker")


@cache
def _breaker(dependency: str, failed: Callable[[BaseException], bool]) -> CircuitBreaker:
    storage = _Shared(STATE_CLOSED, redis.undecoded(), namespace=keys.circuit(dependency))
    return CircuitBreaker(
        FAILURES,
        PAUSES[dependency.partition(" ")[0]],
        # A call that ran into its time limit proves nothing good either.
        exclude=[lambda error: not (failed(error) or isinstance(error, SoftTimeLimitExceeded))],
        name=dependency,
        state_storage=storage,
        listeners=[_Watch()],
        throw_new_error_on_trip=False,
    )


@contextmanager
def guarded(dependency: str, failed: Callable[[BaseException], bool]) -> Iterator[None]:
    """Run the block unless the dependency is left alone.

    `failed` tells which errors are its own. Raises CircuitOpen. `failed` is a function of its module, always
    the same one: each has a breaker of its own, on the shared state.
    """
    if waiting.passes_circuits():
        yield
        return
    breaker = _breaker(dependency, failed)
    try:
        with breaker.calling():
            yield
    except CircuitBreakerError as error:
        raise CircuitOpen(dependency=dependency, failures=FAILURES, seconds=breaker.reset_timeout) from error
