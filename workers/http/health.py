"""What /healthz and /readyz say.

Asked and written to in the background, so that a server that hangs holds up no answer.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import SQLAlchemyError

from workers.foundation import background, clock, database, health, jobs, keys, queues, redis
from workers.foundation.errors import ExpectedError
from workers.selfwatch.rules import LATENCY_OBJECTIVES

#: In seconds: from check to check, for how long one may take, and after which a first answer no longer waits.
EVERY, PATIENCE = 1.0, 1.0
OK, UNAVAILABLE, HANGS, UNKNOWN = "ok", "unavailable", "hangs", "not known"


@dataclass
class _Part:
    """One part: what it said last, and since when it is being asked (None while it is not)."""

    check: Callable[[], str]
    detail: str = ""
    since: float | None = None

    def check_now(self) -> None:
        self.since = clock.stopwatch()
        try:
            self.detail = self.check()
        except Exception:
            self.detail = UNKNOWN
            raise
        finally:
            self.since = None

    def answers(self) -> str:
        """Return what is known of it."""
        since = self.since
        late = since is not None and clock.stopwatch() - since > PATIENCE
        return HANGS if late else self.detail


class Checks:
    """Asks each part once a second, in a thread of its own, until stopped."""

    def __init__(self) -> None:
        """Begin."""
        self._stopped = threading.Event()
        self._parts = {name: _Part(check) for name, check in CHECKS.items()}
        for name, part in self._parts.items():
            background.keep(f"health of {name}", partial(self._keep_asking, part), until=self._stopped)

    def _keep_asking(self, part: _Part) -> None:
        while not self._stopped.is_set():
            part.check_now()
            self._stopped.wait(EVERY)

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    async def answers(self, *names: str) -> dict[str, str]:
        """Return what each part says, or those named.

        Of one that was never asked within `PATIENCE`: it hangs.
        """
        until = clock.stopwatch() + PATIENCE
        while not all(part.answers() for part in self._parts.values()) and clock.stopwatch() < until:
            await asyncio.sleep(0.02)
        return {
            name: part.answers() or HANGS for name, part in self._parts.items() if not names or name in names
        }


def _redis(client: Callable[[], redis.Client]) -> Callable[[], str]:
    def _writes() -> str:
        try:
            client().set(keys.HEALTH, 1, ex=60)
        except RedisTimeoutError:
            return HANGS
        except redis.UNREACHABLE:
            return UNAVAILABLE
        except RedisError as error:
            return f"takes nothing ({type(error).__name__})"
        return OK

    return _writes


def _database() -> str:
    try:
        with database.unguarded() as db:
            health.mark(db)
    except database.WritesRefused as error:
        return f"takes nothing ({error.reason})"
    except database.DatabaseUnavailable:
        return UNAVAILABLE
    except (SQLAlchemyError, psycopg.Error, ExpectedError) as error:
        state = getattr(getattr(error, "orig", error), "sqlstate", None)
        return f"takes nothing ({state or type(error).__name__})"
    return OK


def _beat() -> str:
    at = clock.epoch()
    try:
        if not jobs.beats(at):
            return "no beat runs"
        late = [record.name for record in jobs.records() if record.overdue(at)]
    except RedisError:
        return UNKNOWN
    return f"does not fire {late[0]}" if late else OK


def _queues() -> str:
    try:
        behind = [one.name for one in queues.lengths_and_ages() if one.oldest > LATENCY_OBJECTIVES[one.name]]
    except RedisError:
        return UNKNOWN
    return f"{behind[0]} does not move" if behind else OK


CHECKS: dict[str, Callable[[], str]] = {
    "broker": _redis(redis.registry),
    "cache": _redis(redis.cache_server),
    "connections": _redis(redis.connections),
    "database": _database,
    "beat": _beat,
    "queues": _queues,
}
