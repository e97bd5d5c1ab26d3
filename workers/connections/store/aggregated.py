"""Regions whose connections are counted by their nodes, not by the registry."""

from collections.abc import Iterable

from workers.connections.keys import AGGREGATED
from workers.foundation import redis


def note(regions: Iterable[str], *, until: float) -> None:
    """Remember regions whose connections are counted by their nodes, until a moment in epoch seconds."""
    if scores := dict.fromkeys(regions, until):
        redis.connections().zadd(AGGREGATED, scores)


def regions(epoch: float) -> set[str]:
    """Return the regions whose connections are counted by their nodes."""
    redis.connections().zremrangebyscore(AGGREGATED, "-inf", epoch)
    return set(redis.connections().zrange(AGGREGATED, 0, -1))
