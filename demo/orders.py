"""What the control plane wants of a gateway.

Limits, service levels, which sockets to end; and the node's own report.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workers.balancing import store as balancing
from workers.balancing.store import Report
from workers.connections.keys import (
    CLOSE,
    CONFIRMED,
    DESIRED,
    DESIRED_CHANGED,
    LEVELS,
    PHASES,
    REVOKED_CHANGED,
    SERVICE,
    SHED,
)
from workers.connections.rules import levels
from workers.connections.rules.revocations import Revocation
from workers.connections.store import revocations
from workers.connections.store.registry import Connection
from workers.foundation import clock, logs, settings
from workers.foundation.errors import ExpectedError

log = logs.get("gateway")

#: What everybody gets before the control plane has said anything.
UNPUBLISHED = {"bandwidth_share": 1, "heartbeat_seconds": 30, "compression": False, "batch_ms": 0}
#: Levels and phases are read when they are said to have changed, and this often in seconds: a publication can
#: be missed.
READ_EVERY = 30.0


class Orders:
    """Reads the desired state a second after it changed at the latest, and reports this node each second."""

    def __init__(
        self, node: str, url: str, capacity: int, regions: list[str], end: Callable[[str], None]
    ) -> None:
        """Begin with no limit known.

        `end` closes a socket by its id. One server, no cluster: it is a demo.
        """
        self.node, self.url, self.capacity, self.regions, self.end = node, url, capacity, regions, end
        self.limits: dict[str, int] = {}
        self._levels: dict[str, Any] = {}
        self._phases: dict[str, str] = {}
        self._shed: dict[str, str] = {}
        #: Permits that were taken back.
        self.revoked: list[Revocation] = []
        self._read_again = 0.0
        servers = settings.servers()
        self._redis: Any = Redis.from_url(
            servers.connections_url or servers.broker_url, decode_responses=True
        )

    def level(self, record: Connection) -> dict[str, Any]:
        """Return the service level of a connection: by user type, device and the phase of the wedding.

        `shed` are the features that its wedding goes on without.
        """
        phase = self._phases.get(record.wedding_id or "", "planning")
        level: dict[str, Any] = self._levels.get(
            levels.name(record.user_type, record.device, phase), UNPUBLISHED
        )
        shed = self._shed.get(record.wedding_id or "", "")
        return level | {"shed": shed.split()} if shed else level

    async def obey(self) -> None:
        """Do what the control plane wants and confirm it, until the broker is unavailable."""
        try:
            async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                await channel.subscribe(DESIRED_CHANGED, SERVICE, REVOKED_CHANGED, CLOSE + self.node)
                # What was said while nobody listened is read.
                self._read_again = 0.0
                await self._follow(channel)
        except (RedisError, ExpectedError) as error:
            log.warning("no orders", reason="redis", detail=str(error))

    async def _follow(self, channel: Any) -> None:
        while True:
            await self._take_limits()
            if clock.stopwatch() >= self._read_again:
                levels_told = (await self._redis.hgetall(LEVELS)).items()
                self._levels = {name: level for name, text in levels_told if (level := _level(text))}
                self._phases = await self._redis.hgetall(PHASES)
                self._shed = await self._redis.hgetall(SHED)
                self.revoked = await asyncio.to_thread(revocations.read)
                self._read_again = clock.stopwatch() + READ_EVERY
            message = await channel.get_message(timeout=1.0)
            while message:
                self._heed(message["channel"], message["data"])
                message = await channel.get_message(timeout=0)

    def _heed(self, channel: str, data: str) -> None:
        if channel in (SERVICE, REVOKED_CHANGED):
            self._read_again = 0.0
        elif channel == CLOSE + self.node:
            for id in data.split():
                self.end(id)

    async def _take_limits(self) -> None:
        for region in self.regions:
            wanted = await self._redis.hgetall(DESIRED + region)
            self._take_limit(region, wanted.get("connection_limit"))
            if wanted:
                await self._redis.hset(CONFIRMED + region, self.node, wanted.get("action", ""))

    def _take_limit(self, region: str, limit: str | None) -> None:
        """Obey a region's limit; one that is no number changes nothing, and is said."""
        if limit is None:
            self.limits.pop(region, None)
        elif limit.isascii() and limit.isdigit():
            self.limits[region] = int(limit)
        else:
            log.error("limit not understood", region=region, reason="not_a_number")

    async def report(self, by_region: Callable[[], Mapping[str, int]], sent: Callable[[], int]) -> None:
        """Report this node each second, until cancelled; `sent` is how many bytes it ever sent."""
        before = sent()
        while True:
            load, cores = os.getloadavg()[0], os.cpu_count() or 1
            held = sum(by_region().values())
            cpu, network, before = min(1.0, load / cores), max(0, sent() - before), sent()
            facts = Report(self.node, self.regions[0], self.url, self.capacity, held, cpu, _memory(), network)
            with suppress(RedisError, ExpectedError):
                await asyncio.to_thread(balancing.report, facts)
            await asyncio.sleep(1)

    def leave(self) -> None:
        """Say goodbye: a node that goes on purpose alarms nobody."""
        with suppress(RedisError, ExpectedError):
            balancing.leave(self.node)


def _level(text: str) -> dict[str, Any] | None:
    """Return a service level; None for what is none."""
    try:
        level = orjson.loads(text)
        return level if UNPUBLISHED.keys() <= level.keys() else None
    except (orjson.JSONDecodeError, AttributeError):
        return None


def _memory() -> float:
    """Return the share of this machine's memory that is in use; 0 where it does not say."""
    if not Path("/proc/meminfo").exists():
        return 0.0
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kilobytes = {name.rstrip(":"): int(value) for name, value, *_ in lines}
    return 1 - kilobytes["MemAvailable"] / kilobytes["MemTotal"]
