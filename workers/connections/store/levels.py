"""What gateways give each class of people.

Published service levels, and the phase of each wedding that is near.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from workers.connections.keys import LEVELS, PHASES, SERVICE, SHED
from workers.connections.rules import levels
from workers.foundation import redis

_MAX = 1_000


def publish_levels(found: Mapping[str, Mapping[str, object]]) -> int:
    """Publish what each class gets; return how many levels changed."""
    return _reconcile(LEVELS, {name: orjson.dumps(level).decode() for name, level in found.items()})


def publish_phases(phases: Mapping[str, str]) -> int:
    """Publish the phase of the weddings that are near; return how many changed."""
    return _reconcile(PHASES, phases)


def publish_shed(shed: Mapping[str, str]) -> int:
    """Publish what is left out at weddings; return how many changed."""
    return _reconcile(SHED, shed)


def level_of(connection: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the service level that a connection has now, by user type, device and phase.

    None before any was published.
    """
    phase = redis.connections().hget(PHASES, connection["wedding_id"]) or "planning"
    found = redis.connections().hget(
        LEVELS, levels.name(connection["user_type"], connection["device"], phase)
    )
    return orjson.loads(found) if found else None


def _reconcile(key: str, wanted: Mapping[str, str]) -> int:
    server = redis.connections()
    had: dict[str, str] = server.hgetall(key)
    new = [(name, value) for name, value in wanted.items() if had.get(name) != value]
    gone = [name for name in had if name not in wanted]
    for first in range(0, len(new), _MAX):
        server.hset(key, mapping=dict(new[first : first + _MAX]))
    for first in range(0, len(gone), _MAX):
        server.hdel(key, *gone[first : first + _MAX])
    if new or gone:
        server.publish(SERVICE, key)
    return len(new) + len(gone)
