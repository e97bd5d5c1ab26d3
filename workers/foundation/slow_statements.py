"""Statements that took long, as this system's own processes saw them: for who has no pg_stat_statements."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import Engine, event

from workers.foundation import clock, redis
from workers.foundation.keys import SLOW_COUNTS, SLOW_STATEMENTS

#: From so many seconds on a statement is noted; so many are kept, those that took longest in all; a text is
#: cut.
SLOW, KEPT, LONGEST = 0.1, 100, 4_000


@dataclass(frozen=True)
class Slow:
    """A statement without its parameters, how often it was slow, and how many ms it took then on average."""

    statement: str
    calls: int
    mean_ms: float


def watch(engine: Engine) -> None:
    """Note the slow statements of an engine; parameters are never kept."""
    event.listen(engine, "before_cursor_execute", _begin)
    event.listen(engine, "after_cursor_execute", _end)


def _begin(db: Any, *_call: object) -> None:
    db.info["wedops_began"] = clock.stopwatch()


def _end(db: Any, _cursor: object, statement: str, *_call: object) -> None:
    took = clock.stopwatch() - db.info.pop("wedops_began", clock.stopwatch())
    if took >= SLOW:
        with suppress(RedisError):
            _note(statement[:LONGEST], took * 1000)


def _note(statement: str, ms: float) -> None:
    server = redis.registry()
    with server.pipeline(transaction=False) as pipe:
        pipe.zincrby(SLOW_STATEMENTS, ms, statement)
        pipe.hincrby(SLOW_COUNTS, statement, 1)
        # Each day anew: who was slow once must not keep newcomers out.
        for key in (SLOW_STATEMENTS, SLOW_COUNTS):
            pipe.expire(key, 86_400, nx=True)
        pipe.zrange(SLOW_STATEMENTS, 0, -KEPT - 1)
        *_, gone = pipe.execute()
    if gone:
        server.zrem(SLOW_STATEMENTS, *gone)
        server.hdel(SLOW_COUNTS, *gone)


def noted(*, limit: int) -> list[Slow]:
    """Return those that took longest in all, the worst first."""
    server = redis.registry()
    found = server.zrevrange(SLOW_STATEMENTS, 0, limit - 1, withscores=True)
    counts = server.hmget(SLOW_COUNTS, [text for text, _ in found]) if found else []
    return [
        Slow(text, int(many or 1), total / int(many or 1))
        for (text, total), many in zip(found, counts, strict=True)
    ]
