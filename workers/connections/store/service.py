"""What gateways are told beside admission: service levels by class, the phase of each wedding, and a peak that is planned."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson

from workers.connections.keys import AGGREGATED, DESIRED, LEVELS, PEAK, PHASES, PRESENT, QUALITY, SERVICE
from workers.connections.rules import levels
from workers.foundation import redis
from workers.foundation.moments import Moment

#: In seconds: for how long somebody stays online whom nobody names again, and a quality after the last measurement of all.
TOLD_FOR, QUALITY_FOR = 60, 600
_MOST = 1_000


def tell_levels(levels: Mapping[str, Mapping[str, object]]) -> int:
    """Tell what each class gets; return how many levels changed."""
    return _bring(LEVELS, {name: orjson.dumps(level).decode() for name, level in levels.items()})


def tell_phases(phases: Mapping[str, str]) -> int:
    """Tell the phase of the weddings that are near; return how many changed."""
    return _bring(PHASES, phases)


def level_of(connection: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the service level that a connection has now, by user type, device and phase; None before any was told."""
    phase = redis.connections().hget(PHASES, connection["wedding_id"]) or "planning"
    found = redis.connections().hget(LEVELS, levels.name(connection["user_type"], connection["device"], phase))
    return orjson.loads(found) if found else None


def _bring(key: str, wanted: Mapping[str, str]) -> int:
    server = redis.connections()
    had: dict[str, str] = server.hgetall(key)
    new = [(name, value) for name, value in wanted.items() if had.get(name) != value]
    gone = [name for name in had if name not in wanted]
    for first in range(0, len(new), _MOST):
        server.hset(key, mapping=dict(new[first : first + _MOST]))
    for first in range(0, len(gone), _MOST):
        server.hdel(key, *gone[first : first + _MOST])
    if new or gone:
        server.publish(SERVICE, key)
    return len(new) + len(gone)


def plan_peak(connections: int, until: datetime) -> None:
    """Remember a peak: until then scaling keeps room for so many."""
    redis.connections().hset(PEAK, mapping={"connections": connections, "until": until.isoformat()})


def end_peak() -> None:
    """Forget the peak that was planned."""
    redis.connections().delete(PEAK)


def peak(now: Moment) -> int:
    """Return how many connections a planned peak needs now; 0 when there is none."""
    connections, until = planned_peak()
    return connections if until and until > now else 0


def planned_peak() -> tuple[int, datetime | None]:
    """Return how many connections the last planned peak needs, and until when."""
    found: dict[str, Any] = redis.connections().hgetall(PEAK)
    return (int(found["connections"]), datetime.fromisoformat(found["until"])) if found else (0, None)


def capacity() -> int:
    """Return how many connections the regions' gateways may hold now, as they were told."""
    server = redis.connections()
    return sum(int(server.hget(key, "connection_limit") or 0) for key in server.scan_iter(match=f"{DESIRED}*", count=1000))


def tell_aggregated(regions: Iterable[str], *, until: float) -> None:
    """Remember regions whose connections are counted by their nodes, not by the registry, until a moment in epoch seconds."""
    if scores := dict.fromkeys(regions, until):
        redis.connections().zadd(AGGREGATED, scores)


def aggregated(epoch: float) -> set[str]:
    """Return the regions whose connections are counted by their nodes."""
    redis.connections().zremrangebyscore(AGGREGATED, "-inf", epoch)
    return set(redis.connections().zrange(AGGREGATED, 0, -1))


def tell_present(wedding_id: str, people: Mapping[str, str]) -> None:
    """Remember who of a wedding is online by its deployment's own Presence."""
    with redis.connections().pipeline(transaction=True) as pipe:
        pipe.delete(PRESENT + wedding_id)
        if people:
            pipe.hset(PRESENT + wedding_id, mapping=dict(people))
            pipe.expire(PRESENT + wedding_id, TOLD_FOR)
        pipe.execute()


def present(wedding_id: str) -> dict[str, str]:
    """Return who of a wedding is online by its deployment's own Presence, user id -> user type."""
    found: dict[str, str] = redis.connections().hgetall(PRESENT + wedding_id)
    return found


def tell_quality(scores: Mapping[str, float]) -> None:
    """Remember how well each wedding is connected."""
    if scores:
        redis.connections().hset(QUALITY, mapping={wedding: round(score, 1) for wedding, score in scores.items()})
        redis.connections().expire(QUALITY, QUALITY_FOR)


def quality(wedding_id: str) -> float | None:
    """Return a wedding's mean quality score, 0-100; None when it was not measured of late."""
    found = redis.connections().hget(QUALITY, wedding_id)
    return None if found is None else float(found)
