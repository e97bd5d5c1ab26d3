"""What is shed where, in Redis: each scope's features end by themselves."""

from collections.abc import Sequence

import orjson

from workers.connections.keys import SHEDDING
from workers.connections.rules.shedding import Feature
from workers.foundation import redis


def begin(scope: str, feature: Feature, seconds: float) -> bool:
    """Have a feature left out in a scope for so long from now on; False when it was left out already."""
    server = redis.connections()
    now = redis.server_time(server)[0]
    before = _read(server.hget(SHEDDING, scope))
    server.hset(SHEDDING, scope, orjson.dumps(before | {str(feature): now + seconds}).decode())
    return before.get(feature, 0.0) <= now


def end(scope: str, feature: Feature) -> None:
    """Have a feature left out no longer."""
    server = redis.connections()
    kept = {name: until for name, until in _read(server.hget(SHEDDING, scope)).items() if name != feature}
    if kept:
        server.hset(SHEDDING, scope, orjson.dumps(kept).decode())
    else:
        server.hdel(SHEDDING, scope)


def active() -> dict[str, Sequence[Feature]]:
    """Return what is left out, by scope."""
    server = redis.connections()
    kept: dict[str, str] = server.hgetall(SHEDDING)
    if not kept:
        return {}
    now = redis.server_time(server)[0]
    found = {
        scope: [Feature(name) for name, until in _read(text).items() if until > now and name in set(Feature)]
        for scope, text in kept.items()
    }
    return {scope: features for scope, features in found.items() if features}


def _read(text: str | None) -> dict[str, float]:
    """Return until when each feature is left out; nothing of what can't be read."""
    try:
        found = orjson.loads(text or "{}")
        return {str(name): float(until) for name, until in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
