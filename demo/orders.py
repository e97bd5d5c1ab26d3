"""What the control plane wants of a gateway: limits, service levels, which sockets to end; and the node's own report."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workers.balancing import store as balancing
from workers.balancing.store import Report
from workers.connections.store import Connection
from workers.connections.store.service import LEVELS, PHASES, SERVICE
from workers.foundation import logs, settings
from workers.foundation.errors import Anticipated
from workers.scaling.store import CONFIRMED, DESIRED, TOLD

log = logs.get("gateway")

#: What everybody gets before the control plane has said anything.
UNTOLD = {"bandwidth_share": 1, "heartbeat_seconds": 30, "compression": False, "batch_ms": 0}


class Orders:
    """Reads the state that is wanted, a second after it changed at the latest, and reports this node each second."""

    def __init__(self, node: str, url: str, capacity: int, end: Callable[[str], Awaitable[None]]) -> None:
        """Begin with no limit known; `end` closes a socket by its id."""
        self.node, self.url, self.capacity, self.end = node, url, capacity, end
        self.limits: dict[str, int] = {}
        self._levels: dict[str, Any] = {}
        self._phases: dict[str, str] = {}
        servers = settings.servers()
        self._redis: Any = Redis.from_url(servers.connections_url or servers.broker_url, decode_responses=True)

    def level(self, record: Connection) -> dict[str, Any]:
        """Return the service level of a connection: by user type, device and the phase of the wedding."""
        phase = self._phases.get(record.wedding_id or "", "planning")
        device = "mobile" if record.device == "mobile" else "fixed"
        level: dict[str, Any] = self._levels.get(f"{record.user_type}|{device}|{phase}", UNTOLD)
        return level

    async def obey(self, by_region: Callable[[], Mapping[str, int]]) -> None:
        """Do what the control plane wants and confirm it, until cancelled."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(TOLD, SERVICE, f"wedops:close:{self.node}")
                    await self._follow(channel, by_region)
            except (RedisError, Anticipated) as error:
                log.warning("no orders", reason="redis", detail=str(error))
                await asyncio.sleep(1)

    async def _follow(self, channel: Any, by_region: Callable[[], Mapping[str, int]]) -> None:
        while True:
            await self._take_state()
            await asyncio.to_thread(self._report, dict(by_region()))
            message = await channel.get_message(timeout=1.0)
            while message:
                if message["channel"] == f"wedops:close:{self.node}":
                    for id in message["data"].split():
                        await self.end(id)
                message = await channel.get_message(timeout=0)

    async def _take_state(self) -> None:
        async for key in self._redis.scan_iter(match=f"{DESIRED}*", count=100):
            wanted: dict[str, Any] = await self._redis.hgetall(key)
            region = key.removeprefix(DESIRED)
            self.limits[region] = int(wanted["connection_limit"])
            await self._redis.hset(CONFIRMED + region, self.node, wanted["action"])
        self._levels = {name: orjson.loads(text) for name, text in (await self._redis.hgetall(LEVELS)).items()}
        self._phases = await self._redis.hgetall(PHASES)

    def _report(self, by_region: dict[str, int]) -> None:
        load, cores = os.getloadavg()[0], os.cpu_count() or 1
        region = os.environ.get("GATEWAY_REGION") or max(by_region, key=lambda name: by_region[name], default="unknown")
        report = Report(
            self.node, region or "unknown", self.url, self.capacity, sum(by_region.values()), min(1.0, load / cores)
        )
        balancing.report(report)
