"""Where guests give way first, in Redis: each mode ends by itself."""

from typing import Any

import orjson

from workers.connections.keys import EMERGENCY, MODES
from workers.connections.rules.modes import EVERYWHERE, EmergencyMode
from workers.foundation import redis


def active() -> dict[str, EmergencyMode]:
    """Return the modes that hold, by scope. Those that have ended are forgotten."""
    server = redis.connections()
    kept: dict[str, str] = server.hgetall(MODES)
    found = {scope: mode for scope, text in kept.items() if (mode := _read(scope, text))}
    if by := server.get(EMERGENCY):
        # What the version before switched on has no end, and says since when.
        owner = by.partition(" since ")[0]
        found.setdefault(EVERYWHERE, EmergencyMode(EVERYWHERE, owner, "", float("inf")))
    if not found:
        return {}
    now = redis.server_time(server)[0]
    if ended := [scope for scope, mode in found.items() if mode.until <= now]:
        server.hdel(MODES, *ended)
    return {scope: mode for scope, mode in found.items() if mode.until > now}


def _read(scope: str, text: str) -> EmergencyMode | None:
    """Return a mode; None for what is none, which must keep nobody from the others."""
    try:
        facts = orjson.loads(text)
        return EmergencyMode(scope, str(facts["owner"]), str(facts["reason"]), float(facts["until"]))
    except (ValueError, KeyError, TypeError):
        return None


def begin(scope: str, owner: str, reason: str, seconds: float) -> EmergencyMode:
    """Have guests give way for so long; what held there before is replaced."""
    server = redis.connections()
    mode = EmergencyMode(scope, owner, reason, redis.server_time(server)[0] + seconds)
    facts: dict[str, Any] = {name: value for name, value in vars(mode).items() if name != "scope"}
    server.hset(MODES, scope, orjson.dumps(facts))
    return mode


def end(scope: str) -> bool:
    """Have guests give way no longer; False when they did not."""
    server = redis.connections()
    had = server.hdel(MODES, scope)
    return bool(server.delete(EMERGENCY) + had) if scope == EVERYWHERE else bool(had)
