"""The registry in Valkey, for Python callers; the functions beside this file are its truth."""

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import orjson
from redis.exceptions import ResponseError

from workers.connections import rules
from workers.foundation import redis, settings
from workers.foundation.errors import Anticipated
from workers.foundation.redis import FunctionsMissing, is_missing_function

#: Where gateways read the service level of each user type.
LEVELS = "wedops:service:"


class ConnectionRefused(Anticipated):
    """connection refused: {problem}"""


@dataclass(frozen=True)
class Connection:
    """A connection as a gateway reports it; `tenant` is the supplier, or the wedding for its couple and guests."""

    id: str
    user_id: str
    user_type: str
    node: str
    region: str
    wedding_id: str | None = None
    supplier_id: str | None = None
    api_version: str | None = None

    @property
    def tenant(self) -> str:
        """Return whose shard the record lives in."""
        return self.supplier_id or self.wedding_id or self.user_id


@cache
def policy() -> rules.Policy:
    """Return the room's policy; the number of shards never changes while a process lives."""
    return settings.read(rules.Policy, "CONNECTIONS_")


def register(connection: Connection) -> bool:
    """Remember an open connection; False when it was known. Raises ConnectionRefused naming the field."""
    return bool(_call("wedops_register", connection.tenant, orjson.dumps(asdict(connection))))


def heartbeat(tenant: str, id: str, *, rtt_ms: float | None = None, messages: int = 0, errors: int = 0, size: int = 0) -> bool:
    """Show that a connection lives; False when the registry does not know it (any more)."""
    rtt = "" if rtt_ms is None else rtt_ms
    return bool(_call("wedops_heartbeat", tenant, id, rtt, messages, errors, size))


def lost(tenant: str, id: str) -> bool:
    """Say that the socket broke without a goodbye: the next sweep ends the record, unless it beats again."""
    return bool(_call("wedops_lost", tenant, id))


def close(tenant: str, id: str) -> bool:
    """Forget a connection that was closed; False when it was not known."""
    return bool(_call("wedops_close", tenant, id))


def _call(function: str, tenant: str, *arguments: Any) -> Any:
    try:
        return redis.registry().fcall(function, 1, rules.shard(tenant, policy().shards), *arguments)
    except ResponseError as error:
        if is_missing_function(error):
            raise FunctionsMissing(library="wedops_connections") from error
        if not str(error).startswith("REFUSED "):
            raise
        raise ConnectionRefused(problem=str(error).removeprefix("REFUSED ")) from error


def sweep() -> int:
    """End what is abandoned in every shard, in bounded batches; return how many were ended."""
    idle, batch = int(policy().idle_after.total_seconds() * 1000), policy().sweep_batch
    ended, shards = 0, _shards()
    while shards:
        swept = _each(shards, "wedops_sweep", idle, batch)
        ended += sum(swept)
        shards = [shard for shard, count in zip(shards, swept, strict=True) if count == batch]
    return ended


def snapshot() -> list[rules.Share]:
    """Return what every shard says, and begin its flow anew."""
    silent = int(policy().silent_after.total_seconds() * 1000)
    return [rules.Share(*map(_counts, share)) for share in _each(_shards(), "wedops_snapshot", silent, policy().sweep_batch)]


def total() -> int:
    """Return how many connections are open."""
    with redis.registry().pipeline(transaction=False) as pipe:
        for shard in _shards():
            pipe.zcard(f"{shard}:active")
        return sum(pipe.execute())


def _shards() -> list[str]:
    return [f"wedops:{{{number}}}" for number in range(policy().shards)]


def _each(shards: list[str], function: str, *arguments: Any) -> list[Any]:
    with redis.registry().pipeline(transaction=False) as pipe:
        for shard in shards:
            pipe.fcall(function, 1, shard, *arguments)
        answers: list[Any] = pipe.execute()
    return answers


def _counts(flat: list[Any]) -> dict[str, int]:
    return {name: int(count) for name, count in zip(flat[::2], flat[1::2], strict=True)}


def tell_levels(levels: dict[rules.UserType, rules.ServiceLevel]) -> None:
    """Tell gateways what each class of people gets."""
    with redis.registry().pipeline(transaction=True) as pipe:
        for user_type, level in levels.items():
            pipe.hset(LEVELS + user_type, mapping=asdict(level))
        pipe.execute()
