"""A peak that is planned, and what there is room for."""

from datetime import datetime
from typing import Any

from workers.connections.keys import DESIRED, PEAK
from workers.foundation import redis
from workers.foundation.moments import Moment


def plan(connections: int, until: datetime) -> None:
    """Remember a peak: until then scaling keeps room for so many."""
    redis.connections().hset(PEAK, mapping={"connections": connections, "until": until.isoformat()})


def end() -> None:
    """Forget the peak that was planned."""
    redis.connections().delete(PEAK)


def needed(now: Moment) -> int:
    """Return how many connections a planned peak needs now; 0 when there is none."""
    connections, until = planned()
    return connections if until and until > now else 0


def planned() -> tuple[int, datetime | None]:
    """Return how many connections the last planned peak needs, and until when."""
    found: dict[str, Any] = redis.connections().hgetall(PEAK)
    return (int(found["connections"]), datetime.fromisoformat(found["until"])) if found else (0, None)


def capacity() -> int:
    """Return how many connections the regions' gateways may hold now, as it was published to them."""
    server = redis.connections()
    return sum(
        int(server.hget(key, "connection_limit") or 0)
        for key in server.scan_iter(match=f"{DESIRED}*", count=1000)
    )
