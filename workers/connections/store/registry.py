"""The registry in Valkey, for Python callers; the functions beside this folder are its truth."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson

from workers.connections import keys
from workers.connections.keys import ROUTING_LIMITS
from workers.connections.rules import admission as rules
from workers.connections.store import modes
from workers.foundation import redis, settings
from workers.foundation.errors import ExpectedError


class ConnectionRefused(ExpectedError):
    """connection refused: {problem}"""


@dataclass(frozen=True)
class Connection:
    """A connection as a gateway reports it.

    `tenant` is the supplier, or the wedding for its couple and guests.
    """

    id: str
    user_id: str
    user_type: str
    node: str
    region: str
    wedding_id: str | None = None
    supplier_id: str | None = None
    supplier_type: str | None = None
    api_version: str | None = None
    #: `mobile` or `fixed`.
    device: str | None = None
    channels: tuple[str, ...] = ()
    #: The second connection, on another node, of a couple, a planner, or a supplier that owns a critical
    #: moment: for the day the first one goes.
    backup: bool = False
    reconnects: int = 0

    @property
    def tenant(self) -> str:
        """Return whose shard the record lives in."""
        return self.supplier_id or self.wedding_id or self.user_id

    @property
    def ref(self) -> str:
        """Return the name of the record: tenant/user/id."""
        return f"{self.tenant}/{self.user_id}/{self.id}"


@dataclass(frozen=True)
class Admission:
    """What the registry answered: a `ref` to beat and close with, or a `reason` and how long to wait."""

    ok: bool
    ref: str = ""
    #: Where the connection is: another node than the asking one when an open connection is reused.
    node: str = ""
    reused: bool = False
    reason: str = ""
    retry_after_ms: int = 0
    #: By kind of channel: `ok` (channels) and `refused` (channel, why); empty when all of one or no channel
    #: went well.
    kinds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """What a connection did since the last time. `rtt_ms` is None when it was not measured."""

    ref: str
    rtt_ms: float | None = None
    messages: int = 0
    errors: int = 0
    bytes: int = 0


@cache
def policy() -> rules.Policy:
    """Return the room's policy; the number of shards never changes while a process lives."""
    return settings.read(rules.Policy)


def open(
    connection: Connection,
    *,
    reuse: bool = False,
    resume: bool = False,
    address: str = "",
    held: int = 0,
    capacity: int | None = None,
) -> Admission:
    """Ask for a place, take it and subscribe, in one step.

    `held` and `capacity` are the asking node's own sockets and how many it can have. `address` is an opaque
    word for where the person comes from, never the address. With `reuse`, a healthy connection of the user
    for the same kind of channel gets the channels instead. With `resume` it is open already and the registry
    forgot it: no newcomer to its node. Raises ConnectionRefused naming a bad field.
    """
    given = vars(connection) | {
        "reuse": reuse,
        "resume": resume,
        "address": address,
        "held": held,
        "capacity": capacity,
    }
    request = {name: value for name, value in given.items() if value not in (None, "", (), False)}
    answer = call("wedops_open", connection.tenant, orjson.dumps(request))
    return Admission(**orjson.loads(answer))


def refused(region: str, reason: str, address: str) -> int:
    """Count an attempt that the gateway refused by itself; return how many ms the caller has to wait."""
    return int(call("wedops_refused", address, region, reason, address))


def heartbeat(refs: Iterable[str]) -> list[str]:
    """Show that connections live; return those that the registry does not know (any more)."""
    return _by_shard("wedops_heartbeat", {ref: (ref,) for ref in refs}, 1000)


def measure(measurements: Iterable[Measurement]) -> list[str]:
    """Show that connections live and how good they are.

    Return those that the registry does not know (any more).
    """
    facts = {
        one.ref: ["" if value is None else value for value in vars(one).values()] for one in measurements
    }
    return _by_shard("wedops_measure", facts, 200)


def observe(node: str, region: str, observations: Iterable[tuple[str, float | None, int]]) -> None:
    """Add what a gateway observed of a region, each as (what, ms, how many).

    `connect` and `delivery` take ms; `batches` and `failed_batches` None. 600 observations at most.
    Raises ConnectionRefused for what is none of these.
    """
    values = ["" if value is None else value for observation in observations for value in observation]
    call("wedops_observe", node, node, region, *values)


def subscribe(ref: str, channels: Iterable[str], *, supplier_type: str = "") -> dict[str, Any] | None:
    """Add channels; return by kind which were taken (`ok`) and which not (`refused`: channel, why).

    None when not known.
    """
    answer = call("wedops_subscribe", tenant_of(ref), ref, supplier_type, *channels)
    return orjson.loads(answer) if answer else None


def unsubscribe(ref: str, channels: Iterable[str]) -> int:
    """End subscriptions; return how many there were."""
    return int(call("wedops_unsubscribe", tenant_of(ref), ref, *channels))


def lost(ref: str) -> bool:
    """Say that the socket broke without a goodbye.

    The next sweep ends the record, unless it is opened again.
    """
    return bool(call("wedops_lost", tenant_of(ref), ref))


def close(ref: str) -> bool:
    """Forget a connection that was closed; False when it was not known."""
    return bool(call("wedops_close", tenant_of(ref), ref))


def connections_of(tenant: str, user_id: str) -> list[dict[str, Any]]:
    """Return all that is known of a user's connections."""
    found: list[dict[str, Any]] = orjson.loads(call("wedops_show", tenant, tenant, user_id))
    return found


def tenant_of(ref: str) -> str:
    """Return whose shard a ref's record lives in."""
    return ref.partition("/")[0]


def call(function: str, tenant: str, *arguments: Any) -> Any:
    """Call a function on a tenant's shard.

    Raises ConnectionRefused, or FunctionsMissing on a server that has none.
    """
    with named_errors():
        return redis.connections().fcall(function, 1, keys.shard(tenant, policy().shards), *arguments)


def named_errors() -> AbstractContextManager[None]:
    """Tell a refusal and a server without functions by name."""
    return redis.named_errors("wedops_connections", ConnectionRefused)


def each(shards: Iterable[str], function: str, *arguments: Any) -> list[Any]:
    """Call a function on each shard, in one go; return the answers."""
    return _calls([(function, shard, *arguments) for shard in shards])


def _calls(calls: Iterable[tuple[Any, ...]]) -> list[Any]:
    server = redis.connections()
    with named_errors():
        if redis.is_cluster(server):
            # redis-py's pipeline for clusters asks a server for the keys of each call: calls by themselves
            # are faster.
            return [server.fcall(function, 1, *rest) for function, *rest in calls]
        with server.pipeline(transaction=False) as pipe:
            for function, *rest in calls:
                pipe.fcall(function, 1, *rest)
            answers: list[Any] = pipe.execute()
    return answers


def _by_shard(function: str, facts: Mapping[str, Iterable[Any]], limit: int) -> list[str]:
    by_shard: dict[str, list[str]] = {}
    for ref in facts:
        by_shard.setdefault(keys.shard(tenant_of(ref), policy().shards), []).append(ref)
    pages = (
        (shard, refs[first : first + limit])
        for shard, refs in by_shard.items()
        for first in range(0, len(refs), limit)
    )
    calls = [(function, shard, *(value for ref in page for value in facts[ref])) for shard, page in pages]
    return [ref for unknown in _calls(calls) for ref in unknown]


def shards() -> list[str]:
    """Return every shard's key."""
    return [keys.numbered(number) for number in range(policy().shards)]


def total() -> int:
    """Return how many connections are open."""
    with redis.connections().pipeline(transaction=False) as pipe:
        for shard in shards():
            pipe.zcard(f"{shard}:active")
        return sum(pipe.execute())


def publish_limits(
    own: Mapping[str, str] | None = None, *, suppliers: Mapping[str, int] | None = None
) -> None:
    """Tell the registry what admission obeys, in every shard, and routing the same.

    `own` are facts of single names, e.g. `out:node1` -> "1"; `suppliers` have a limit of their own. An empty
    value or 0 takes a name's own away.
    """
    theirs: dict[str, list[str]] = {}
    for supplier_id, connections in (suppliers or {}).items():
        names = theirs.setdefault(keys.shard(supplier_id, policy().shards), [])
        names += [f"supplier:{supplier_id}", str(connections or "")]
    profiles = {f"profile:{kind}": ",".join(channels) for kind, channels in rules.PROFILES.items()}
    published_names = [word for pair in (profiles | dict(own or {})).items() for word in pair]
    scopes = list(modes.active())
    redis.connections().set(ROUTING_LIMITS, orjson.dumps(rules.routing_limits(policy(), scopes)))
    common = orjson.dumps(rules.admission(policy(), scopes)).decode()
    _calls(
        [
            ("wedops_limit", shard, policy().shards, common, *published_names, *theirs.get(shard, ()))
            for shard in shards()
        ]
    )
