"""Permits that were taken back: on the connections' server, where each gateway reads them."""

import threading
from functools import partial

import orjson

from workers.connections.keys import REVOKED, REVOKED_CHANGED
from workers.connections.rules.revocations import Revocation, Whose
from workers.foundation import background, redis

#: In seconds: how often a process that follows reads them again.
FOLLOWED_EVERY = 0.5
#: What a process that follows read last.
_followed: list[Revocation] | None = None


def revoke(one: Revocation) -> None:
    """Remember that permits are taken back, tell all gateways, and forget what has expired by then."""
    server = redis.connections()
    if gone := [_field(other) for other in read() if other.until < one.before]:
        server.hdel(REVOKED, *gone)
    server.hset(REVOKED, _field(one), orjson.dumps({"before": one.before, "until": one.until}))
    server.publish(REVOKED_CHANGED, _field(one))


def lift(whose: Whose, id: str) -> bool:
    """Take a revocation back; False when there is none."""
    lifted = bool(redis.connections().hdel(REVOKED, f"{whose}:{id}"))
    redis.connections().publish(REVOKED_CHANGED, f"{whose}:{id}")
    return lifted


def current() -> list[Revocation]:
    """Return those that hold: as they were half a second ago in a process that follows them."""
    return read() if _followed is None else _followed


def follow(until: threading.Event) -> None:
    """Keep reading them, until an event is set: who answers many requests asks the server for none.

    While that does not answer, what was known goes on.
    """
    background.keep("revocations", partial(_follow, until), until=until)


def _follow(until: threading.Event) -> None:
    global _followed  # noqa: PLW0603 - one list a process
    while not until.is_set():
        _followed = read()
        until.wait(FOLLOWED_EVERY)
    _followed = None


def read() -> list[Revocation]:
    """Return all that are kept, also those that have expired and are forgotten with the next one."""
    found = []
    for field, text in redis.connections().hgetall(REVOKED).items():
        whose, _, id = field.partition(":")
        facts = orjson.loads(text)
        found.append(Revocation(Whose(whose), id, float(facts["before"]), float(facts["until"])))
    return found


def _field(one: Revocation) -> str:
    return f"{one.whose}:{one.id}"
