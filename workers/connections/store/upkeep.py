"""The registry's upkeep: what is abandoned ends, counters are drained, what drifted is corrected."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Any

import orjson

from workers.connections import keys
from workers.connections.rules import admission as rules
from workers.connections.rules.report import Share
from workers.connections.store import presence as presences
from workers.connections.store.registry import ConnectionRefused, each, named_errors, policy, shards
from workers.foundation import clock, logs, redis
from workers.foundation.errors import ExpectedError

log = logs.get("connections")

#: Tenants that one call of an audit reads: a thousand people or so, some milliseconds of the server.
AUDITED_AT_ONCE = 10
#: Tenants among which one call looks for connections of a node that is out: some thousand people at most.
EVICTED_AT_ONCE = 20


class CountsDrifted(ExpectedError):
    """{count} count(s) of the registry had drifted and were put right; please report it with the log of
    worker-steady"""


def sweep() -> int:
    """End what is abandoned in every shard; return how many were ended.

    A shard is asked first how much there is, in one go for all; then each batch is a call of its own, so that
    others get their turn between two.
    """
    idle, batch = _ms(policy().idle_after), policy().sweep_batch
    server, ended = redis.connections(), 0
    with named_errors():
        for shard in (shard for shard, count in zip(shards(), _stale(idle), strict=True) if count):
            swept = batch
            while swept == batch:
                swept = server.fcall("wedops_sweep", 1, shard, idle, batch)
                ended += swept
    return ended


def _stale(idle: int) -> list[int]:
    if redis.is_cluster(redis.connections()):
        return [count for [count] in each(shards(), "wedops_stale", idle)]
    found: list[int] = redis.connections().fcall("wedops_stale", len(shards()), *shards(), idle)
    return found


def evict(node: str) -> int:
    """End every connection of a node that is out; return how many. Costs what exists, in bounded steps."""
    server, ended = redis.connections(), 0
    with named_errors():
        for shard in shards():
            if server.hexists(f"{shard}:counts", f"node:{node}"):
                ended += _evict(server, shard, node, list(server.sscan_iter(f"{shard}:tenants", count=1000)))
    return ended


def _evict(server: redis.Client, shard: str, node: str, tenants: list[str]) -> int:
    large, ended = list[str](), 0
    for first in range(0, len(tenants), EVICTED_AT_ONCE):
        some = tenants[first : first + EVICTED_AT_ONCE]
        if len(some) == 1:
            large += some
            continue
        _, count, *more = server.fcall("wedops_evict_among", 1, shard, node, "0", *some)
        ended, large = ended + count, large + more
    for tenant in large:
        cursor = None
        while cursor != "0":
            cursor, count = server.fcall("wedops_evict_among", 1, shard, node, cursor or "0", tenant)
            ended += count
    return ended


def snapshot() -> list[Share]:
    """Return what every shard says.

    What was counted since the last one comes again until `forget_counters`.
    """
    silent = _ms(policy().silent_after)
    return [
        Share(*map(_counts, share))
        for share in each(shards(), "wedops_snapshot", silent, policy().sweep_batch)
    ]


def heaviest() -> list[tuple[str, int, int, int]]:
    """Return the open connections with the most messages in each shard.

    Each is (ref, messages, bytes, opened in epoch seconds).
    """
    shares = each(shards(), "wedops_heaviest")
    return [
        (ref, int(messages), int(size), int(opened))
        for share in shares
        for ref, messages, size, opened in batched_by(share, 4)
    ]


def forget_counters() -> None:
    """Drop the drained counters of the last snapshot: they are kept elsewhere now."""
    with redis.connections().pipeline(transaction=False) as pipe:
        for shard in shards():
            pipe.delete(f"{shard}:taken")
        pipe.execute()


def poor() -> dict[str, float]:
    """Return the refs of couples and planners whose quality score is low, and their scores."""
    with redis.connections().pipeline(transaction=False) as pipe:
        for shard in shards():
            pipe.zrange(f"{shard}:poor", 0, 99, withscores=True)
        return {ref: score for found in pipe.execute() for ref, score in found}


#: A wedding has no more guests than that (weddings/formats).
GUESTS_MAX = 100_000


@dataclass(frozen=True)
class Online:
    """Who of a wedding is online.

    Open connections by user type, users (id -> user type), some of them when not `complete`, and which of its
    suppliers.
    """

    connections: Mapping[str, int]
    users: Mapping[str, str]
    complete: bool
    suppliers: frozenset[str] = frozenset()


def presence(wedding_id: str, supplier_ids: Iterable[str] = (), *, limit: int = 2_000) -> Online:
    """Return who of a wedding is online, by the registry and by Presence that was listened to.

    Its vendors are in their suppliers' shards, so those are asked as well. Costs a call for each 200 people,
    and stops when `limit` are listed; the counts are whole for the wedding's shard and those of
    `supplier_ids`.
    """
    open_: dict[str, int] = dict.fromkeys(rules.UserType, 0)
    users = presences.of(wedding_id)
    complete, counted, here = True, set[str](), set[str]()
    for tenant in (wedding_id, *supplier_ids):
        shard = keys.shard(tenant, policy().shards)
        cursor, counts, some = _list_users(shard, tenant, wedding_id, users, limit)
        complete = complete and cursor == "0"
        here |= {tenant} if some and tenant != wedding_id else set()
        if shard not in counted:
            counted.add(shard)
            open_ = {kind: open_[kind] + count for kind, count in zip(rules.UserType, counts, strict=True)}
    by_type = {str(kind): count for kind, count in open_.items()}
    return Online(by_type, users, complete, frozenset(here))


def guests(wedding_id: str) -> list[str]:
    """Return the guests of a wedding who are online."""
    users = presence(wedding_id, limit=GUESTS_MAX).users
    return sorted(user for user, kind in users.items() if kind == rules.UserType.GUEST)


def guests_online(wedding_ids: Sequence[str]) -> dict[str, int]:
    """Return how many connections of guests weddings have, by their counts."""
    with redis.connections().pipeline(transaction=False) as pipe:
        for id in wedding_ids:
            pipe.hget(f"{keys.shard(id, policy().shards)}:counts", f"wt:{id}|{rules.UserType.GUEST}")
        found = pipe.execute()
    return {id: int(many or 0) for id, many in zip(wedding_ids, found, strict=True)}


def _list_users(
    shard: str, tenant: str, wedding_id: str, users: dict[str, str], limit: int
) -> tuple[str, list[int], bool]:
    """Add a wedding's users of one tenant to `users`.

    Return where it ended, "0" for the end, the shard's counts, and whether there is anybody.
    """
    cursor, counts, first, some = "0", [], True, False
    while first or (cursor != "0" and len(users) < limit):
        cursor, counts, flat = redis.connections().fcall_ro(
            "wedops_presence", 1, shard, tenant, wedding_id, cursor, 200
        )
        users.update({user: kind for user, kind, _ in batched_by(flat, 3)})
        first, some = False, some or bool(flat)
    return cursor, counts, some


@dataclass(frozen=True)
class Drift:
    """A count that was wrong and was put right."""

    shard: str
    name: str
    was: int
    now: int


@dataclass(frozen=True)
class Audit:
    """What an audit found and mended, and which shards never held still long enough to be counted."""

    drifts: list[Drift]
    uncounted: list[str]


def audit(*, enough: float = inf) -> Audit:
    """Count records anew and put right what drifted: a shard after the other, for `enough` seconds.

    The next one goes on where this one ended, until each shard was counted once. A shard that moved meanwhile
    is counted again, up to three times.
    """
    server, every, found = redis.connections(), shards(), Audit([], [])
    first, begun = int(server.get(keys.AUDIT) or 0) % len(every), clock.stopwatch()
    for done in range(len(every)):
        if done and clock.stopwatch() - begun >= enough:
            break
        number = (first + done) % len(every)
        drifts = _counted(every[number])
        if drifts is None:
            found.uncounted.append(every[number])
        else:
            found.drifts.extend(drifts)
        server.set(keys.AUDIT, number + 1)
    return found


def _counted(shard: str) -> list[Drift] | None:
    """Return what drifted in a shard; None when it never held still, or has a record that nobody can read."""
    for _ in range(3):
        try:
            with named_errors():
                drifts = _audit(shard)
        except ConnectionRefused as error:
            log.error("shard not audited", shard=shard, reason="unreadable", detail=str(error))
            return None
        if drifts is not None:
            return drifts
    return None


def _audit(shard: str) -> list[Drift] | None:
    server = redis.connections()
    # Read first: what moves after this is seen by the repair, which then changes nothing.
    moves = int(server.hget(f"{shard}:counts", "moves") or 0)
    counts, unlisted, empty = _recount(shard, sorted(server.smembers(f"{shard}:tenants")))
    stray = [ref for page in _pages("wedops_strays", shard) for ref in page]
    words = [orjson.dumps(fact).decode() for fact in (counts, unlisted, stray, empty)]
    done, *changed = server.fcall("wedops_repair", 1, shard, moves, *words)
    if not done:
        return None
    return [
        *(Drift(shard, name, int(was), int(now)) for name, was, now in batched_by(changed, 3)),
        *(Drift(shard, f"unlisted {ref}", 0, 1) for ref in unlisted),
        *(Drift(shard, f"stray {ref}", 1, 0) for ref in stray),
    ]


def _recount(shard: str, tenants: list[str]) -> tuple[dict[str, int], list[str], list[str]]:
    counts: dict[str, int] = {}
    unlisted: list[str] = []
    empty: list[str] = []
    for first in range(0, len(tenants), AUDITED_AT_ONCE):
        some = tenants[first : first + AUDITED_AT_ONCE]
        flat, more, nobody = redis.connections().fcall("wedops_audit", 1, shard, *some)
        for name, count in _counts(flat).items():
            counts[name] = counts.get(name, 0) + count
        unlisted += more
        empty += nobody
    return counts, unlisted, empty


def _pages(function: str, shard: str) -> Iterator[list[str]]:
    cursor = "0"
    while True:
        cursor, found = redis.connections().fcall(function, 1, shard, cursor, policy().sweep_batch)
        yield found
        if cursor == "0":
            return


def batched_by(flat: list[Any], width: int) -> Iterator[list[Any]]:
    """Yield a flat answer's rows."""
    return (flat[first : first + width] for first in range(0, len(flat), width))


def _counts(flat: list[Any]) -> dict[str, int]:
    return {name: int(count) for name, count in zip(flat[::2], flat[1::2], strict=True)}


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
