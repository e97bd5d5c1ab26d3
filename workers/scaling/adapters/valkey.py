"""The cache's memory: Valkey's and Redis's `maxmemory`."""

from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from workers.foundation import redis
from workers.scaling.adapters.actuators import ActuatorUnreachable, refusal
from workers.scaling.rules.actions import Action
from workers.scaling.rules.policy import Resource

_MEGABYTE = 2**20


class Valkey:
    """Sets what the cache's server may hold; never the broker's, which must not evict."""

    serves = (Resource.CACHE_MB,)

    def seen(self, action: Action) -> int | None:  # noqa: ARG002 - there is one cache only
        """Return its limit in MB; None when it has none."""
        limit = int(self._request(lambda cache: cache.info("memory"))["maxmemory"])
        return round(limit / _MEGABYTE) if limit else None

    def apply(self, action: Action, *, dry_run: bool = False) -> str:
        """Set the limit; what no longer fits is evicted in the background."""
        self._check(action)
        if not dry_run:
            self._request(lambda cache: cache.config_set("maxmemory", action.to * _MEGABYTE))
        return f"CONFIG SET maxmemory {action.to}mb"

    def _check(self, action: Action) -> None:
        memory = self._request(lambda cache: cache.info("memory"))
        problem = ""
        if self._request(_run_id) in {
            _run_id(redis.registry()),
            *(_run_id(one) for one in redis.keeping().get("connections", ())),
        }:
            problem = (
                "the cache is the server of broker or connections; set WEDOPS_CACHE_URL to one of its own"
            )
        elif not memory["maxmemory_policy"].startswith("allkeys"):
            problem = f"it evicts by {memory['maxmemory_policy']}; CONFIG SET maxmemory-policy allkeys-lfu"
        elif not memory["maxmemory"]:
            problem = "it has no limit; CONFIG SET maxmemory to what it may have first"
        if problem:
            raise refusal("valkey", action, problem)

    def _request(self, question: Callable[[redis.Client], Any]) -> Any:
        try:
            return question(redis.cache_server())
        except RedisError as error:
            raise ActuatorUnreachable(actuator="valkey", problem=error) from error


def _run_id(server: redis.Client) -> str:
    # Two addresses, or two database numbers, may be one server.
    return str(server.info("server")["run_id"])
