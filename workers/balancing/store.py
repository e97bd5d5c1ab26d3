"""Nodes and places in Redis; the functions beside this file are their truth."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import orjson

from workers.balancing import keys
from workers.balancing.keys import CUT_OFF, DRAINED, FACTS, NEAR, NODES, OUT, PLACEMENTS, SEEN
from workers.balancing.rules import Node, Placements, Route
from workers.foundation import redis
from workers.foundation.errors import ExpectedError

#: Who was out for so long is not expected back.
FORGET_AFTER = timedelta(hours=1)


class ReportRefused(ExpectedError):
    """report refused: {problem}"""

    http_status = 422


class NodeUnknown(ExpectedError):
    """no node {node!r} has reported within the hour, or is drained; `wedops nodes` lists the known ones"""

    http_status = 404


class NoNode(ExpectedError):
    """no realtime node takes anybody in any region, but for the one to avoid; see `wedops nodes`"""


@dataclass(frozen=True)
class Report:
    """What a node says of itself; `cpu` and `memory` are shares from 0 to 1, `network` bytes a second."""

    node: str
    region: str
    url: str
    capacity: int
    connections: int
    cpu: float = 0.0
    memory: float = 0.0
    network: float = 0.0
    draining: bool = False


def report(facts: Report) -> None:
    """Remember a node's report. Raises ReportRefused naming the field."""
    _call("wedops_report", orjson.dumps(asdict(facts)))


def route(
    wedding_id: str,
    user_type: str,
    region: str,
    *,
    avoid: str = "",
    joins_per_second: int = 200,
    user_id: str = "",
    backed: bool = False,
) -> Route:
    """Return the node for a person of a wedding, not the one to `avoid` that just failed them. Raises NoNode.

    `user_id` asks: somebody who asks again and again is made to wait by themselves. A vendor gets a backup
    when `backed`.
    """
    asked = wedding_id, user_type, region, avoid, joins_per_second, user_id, int(backed)
    answer = orjson.loads(_call("wedops_route", *asked))
    if not answer:
        raise NoNode
    return Route(**answer)


def nodes() -> list[Node]:
    """Return every node that reported within the hour."""
    server = redis.connections()
    seconds, micros = redis.server_time(server)
    now = seconds * 1000 + micros / 1000
    seen = dict(server.zrange(SEEN, 0, -1, withscores=True))
    facts, drained = server.hgetall(FACTS), server.smembers(DRAINED)
    return [
        _node(orjson.loads(facts[name]), max(0.0, now - at), name in drained)
        for name, at in sorted(seen.items())
        if name in facts
    ]


def _node(facts: dict[str, Any], silent_ms: float, drained: bool) -> Node:
    known = {name: facts[name] for name in Node.__dataclass_fields__ if name in facts}
    known["draining"] = known["draining"] or drained
    return Node(name=facts["node"], silent=timedelta(milliseconds=silent_ms), **known)


def require_known(name: str) -> None:
    """Raise NodeUnknown for a node that did not report within the hour."""
    if not redis.connections().hexists(FACTS, name):
        raise NodeUnknown(node=name)


def require_drained(name: str) -> None:
    """Raise NodeUnknown for a node that is not drained."""
    if not redis.connections().sismember(DRAINED, name):
        raise NodeUnknown(node=name)


def drain(name: str) -> None:
    """Have nobody be sent to a node."""
    redis.connections().sadd(DRAINED, name)


def undrain(name: str) -> None:
    """Have people be sent to a node again."""
    redis.connections().srem(DRAINED, name)


def drained() -> set[str]:
    """Return the nodes that are drained."""
    return set(redis.connections().smembers(DRAINED))


def publish_nearest(nearest: Mapping[str, Iterable[str]]) -> None:
    """Tell who asks for a node which regions are nearest to a region that has none left."""
    with redis.connections().pipeline(transaction=True) as pipe:
        pipe.delete(NEAR)
        if nearest:
            pipe.hset(NEAR, mapping={region: " ".join(others) for region, others in nearest.items()})
        pipe.execute()


def leave(name: str) -> bool:
    """Drop a node that goes on purpose; False when it was not known."""
    return bool(_call("wedops_leave", name))


def placements() -> dict[str, list[str]]:
    """Return the nodes of each wedding that is placed."""
    return {wedding: names.split() for wedding, names in redis.connections().hgetall(PLACEMENTS).items()}


def publish_placements(found: Placements, before: Mapping[str, list[str]]) -> int:
    """Write where each wedding's people go, and drop weddings that have ended; return how many changed."""
    wanted = {wedding: " ".join(name for name, _ in parts) for wedding, parts in found.items() if parts}
    new = {wedding: names for wedding, names in wanted.items() if before.get(wedding) != names.split()}
    gone = [wedding for wedding in before if wedding not in wanted]
    with redis.connections().pipeline(transaction=False) as pipe:
        if new:
            pipe.hset(PLACEMENTS, mapping=new)
        if gone:
            pipe.hdel(PLACEMENTS, *gone)
        pipe.execute()
    return len(new) + len(gone)


def since_last(node: str, ever: Mapping[str, float]) -> dict[str, int]:
    """Return how much each of a node's counters grew since it was seen last.

    A node that started anew counts from 0.
    """
    key = keys.counters(node)
    had = redis.connections().hgetall(key)
    if ever:
        redis.connections().hset(key, mapping={name: str(value) for name, value in ever.items()})
        redis.connections().expire(key, FORGET_AFTER)
    grown = {name: value - float(had[name]) for name, value in ever.items() if name in had}
    return {name: int(more if more >= 0 else ever[name]) for name, more in grown.items()}


def note_tenants(node: str, tenants: Mapping[str, int]) -> None:
    """Remember how many connections each tenant has on a node.

    Who is not named is not measured, and keeps its number.
    """
    if tenants:
        redis.connections().hset(keys.tenants(node), mapping=dict(tenants))
        redis.connections().expire(keys.tenants(node), FORGET_AFTER)


def tenants() -> dict[str, int]:
    """Return how many connections each tenant has on all scraped nodes."""
    found: dict[str, int] = {}
    for node in nodes():
        for tenant, count in redis.connections().hgetall(keys.tenants(node.name)).items():
            found[tenant] = found.get(tenant, 0) + int(count)
    return found


def out() -> set[str]:
    """Return the nodes that were found to be out, and are not back."""
    return set(redis.connections().smembers(OUT))


def cut_off() -> set[str]:
    """Return the nodes that admission refuses because they fell silent."""
    return set(redis.connections().smembers(CUT_OFF))


def note_cut_off(names: Iterable[str]) -> None:
    """Remember that admission is about to refuse nodes."""
    for name in names:
        redis.connections().sadd(CUT_OFF, name)


def mark(*, gone: Iterable[str] = (), back: Iterable[str] = ()) -> None:
    """Remember who is out, and who is back."""
    for name in gone:
        redis.connections().sadd(OUT, name)
    for name in back:
        redis.connections().srem(OUT, name)
        redis.connections().srem(CUT_OFF, name)


def _call(function: str, *arguments: Any) -> Any:
    with redis.named_errors("wedops_balancing", ReportRefused):
        return redis.connections().fcall(function, 1, NODES, *arguments)
