"""A small realtime gateway for the demo and the tests, on loopback: Supabase's protocol outside, our registry inside.

    python -m demo.gateway        ws://127.0.0.1:4000/socket/websocket?user_id=…&user_type=…&region=…&wedding_id=…

It trusts what a client says of itself, which no real gateway may.
"""

import asyncio
import os
import signal
import socket
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from demo import phoenix
from workers.connections import store as registry
from workers.connections.store import LEVELS, Connection, ConnectionRefused
from workers.foundation import heartbeat, logs, settings
from workers.foundation.errors import Anticipated
from workers.scaling.store import CONFIRMED, DESIRED, TOLD

log = logs.get("gateway")

PORT = int(os.environ.get("GATEWAY_PORT", "4000"))
#: However calm it is, each connection is pinged and the registry hears of it this often, in seconds.
BEAT_MOST = float(os.environ.get("GATEWAY_BEAT_MOST", "30"))
GOODBYES = {1000, 1001}


@dataclass
class Client:
    """An open socket and what passed since its last heartbeat to the registry."""

    socket: ServerConnection
    record: Connection
    version: str
    topics: dict[str, bool] = field(default_factory=dict)
    messages: int = 0
    size: int = 0
    next_beat: float = 0.0
    pong: Any = None


class Gateway:
    """Sockets by id, and the state that the control plane wants."""

    def __init__(self) -> None:
        """Start with nobody connected and no limit known."""
        self.node = f"{socket.gethostname()}-{os.getpid()}"
        self.clients: dict[str, Client] = {}
        self.limits: dict[str, int] = {}
        self.beat_every: dict[str, float] = {}
        self.by_region: dict[str, int] = defaultdict(int)
        self.redis: Any = Redis.from_url(settings.servers().broker_url, decode_responses=True)

    async def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake with 400 or 429; remember who comes."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        region = asked.get("region", "")
        if self.by_region[region] >= self.limits.get(region, 1_000_000):
            return socket.respond(HTTPStatus.TOO_MANY_REQUESTS, f"region {region} is full; try again in 5 s\n")
        record = Connection(
            id=uuid4().hex,
            user_id=asked.get("user_id", ""),
            user_type=asked.get("user_type", ""),
            node=self.node,
            region=region,
            wedding_id=asked.get("wedding_id"),
            supplier_id=asked.get("supplier_id"),
            api_version=asked.get("vsn"),
        )
        try:
            await asyncio.to_thread(registry.register, record)
        except ConnectionRefused as error:
            return socket.respond(HTTPStatus.BAD_REQUEST, f"{error}\n")
        except (Anticipated, RedisError) as error:
            return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n")
        self.clients[record.id] = Client(socket, record, asked.get("vsn", "1.0.0"))
        self.by_region[region] += 1
        socket.id = record.id  # type: ignore[assignment]
        return None

    async def serve(self, socket: ServerConnection) -> None:
        """Talk to one client until its socket ends."""
        client = self.clients[str(socket.id)]
        try:
            async for text in socket:
                client.messages += 1
                client.size += len(text)
                if frame := phoenix.read(text):
                    await self._answer(client, frame)
        except ConnectionClosed:
            pass
        finally:
            await self.leave(client)

    async def leave(self, client: Client) -> None:
        """Take a client out; one that went without a goodbye keeps its place until the next sweep."""
        if self.clients.pop(client.record.id, None) is None:
            return
        self.by_region[client.record.region] -= 1
        end = registry.close if client.socket.close_code in GOODBYES else registry.lost
        try:
            await asyncio.to_thread(end, client.record.tenant, client.record.id)
        except (Anticipated, RedisError) as error:
            log.warning("left without a word", reason="redis", detail=str(error))

    async def _answer(self, client: Client, frame: phoenix.Frame) -> None:
        if frame.event == phoenix.JOIN:
            client.topics[frame.topic] = _wants_its_own(frame.payload)
            await self._send(client, frame.reply({"postgres_changes": []}))
            await self._send(client, phoenix.Frame(frame.topic, "presence_state"))
        elif frame.event == phoenix.LEAVE:
            client.topics.pop(frame.topic, None)
            await self._send(client, frame.reply({}))
        elif frame.event == phoenix.HEARTBEAT:
            await self._send(client, frame.reply({}))
        elif frame.event == phoenix.BROADCAST and frame.topic in client.topics:
            await self._relay(client, frame)

    async def _relay(self, sender: Client, frame: phoenix.Frame) -> None:
        message = phoenix.Frame(frame.topic, phoenix.BROADCAST, frame.payload)
        for client in list(self.clients.values()):
            if frame.topic in client.topics and (client is not sender or client.topics[frame.topic]):
                await self._send(client, message)

    async def _send(self, client: Client, frame: phoenix.Frame) -> None:
        try:
            await client.socket.send(frame.write(client.version))
        except ConnectionClosed:
            return

    async def beat(self) -> None:
        """Ping each client as often as its class's service level says, and show the registry who answered, and how fast.

        Who does not answer is not shown: an open socket is no sign of life.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.5)
            due = [client for client in self.clients.values() if client.next_beat <= loop.time()]
            for client in due:
                try:
                    await self._ping(client, loop.time())
                except (Anticipated, RedisError) as error:
                    log.warning("no heartbeat", reason="redis", detail=str(error))
                    break

    async def _ping(self, client: Client, now: float) -> None:
        if client.pong is not None:
            if not client.pong.done():
                return
            with suppress(ConnectionClosed):
                await asyncio.to_thread(self._beat, client, await client.pong * 1000)
        with suppress(ConnectionClosed):
            client.pong = await client.socket.ping()
        client.next_beat = now + self.beat_every.get(client.record.user_type, BEAT_MOST)

    def _beat(self, client: Client, rtt: float) -> None:
        record, messages, size = client.record, client.messages, client.size
        client.messages = client.size = 0
        if not registry.heartbeat(record.tenant, record.id, rtt_ms=rtt, messages=messages, size=size):
            registry.register(record)

    async def obey(self) -> None:
        """Do what the control plane wants of each region and confirm it; close what the sweep ended."""
        while True:
            try:
                async with self.redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(TOLD, f"wedops:close:{self.node}")
                    while True:
                        await self._take_state()
                        message = await channel.get_message(timeout=1.0)
                        if message and message["channel"] != TOLD and (client := self.clients.get(message["data"])):
                            await client.socket.close(4000, "ended by the sweep")
            except RedisError as error:
                log.warning("no orders", reason="redis", detail=str(error))
                await asyncio.sleep(1)

    async def _take_state(self) -> None:
        async for key in self.redis.scan_iter(match=f"{DESIRED}*", count=100):
            wanted: dict[str, Any] = await self.redis.hgetall(key)
            region = key.removeprefix(DESIRED)
            self.limits[region] = int(wanted["connection_limit"])
            await self.redis.hset(CONFIRMED + region, self.node, wanted["action"])
        for user_type in ("couple", "planner", "vendor", "guest"):
            if seconds := await self.redis.hget(LEVELS + user_type, "heartbeat_seconds"):
                self.beat_every[user_type] = min(float(seconds), BEAT_MOST)


def _wants_its_own(payload: dict[str, Any]) -> bool:
    config = payload.get("config")
    broadcast = config.get("broadcast") if isinstance(config, dict) else None
    return bool(broadcast.get("self")) if isinstance(broadcast, dict) else False


async def main() -> None:
    """Serve until told to end."""
    gateway, ended = Gateway(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with serve(gateway.serve, "127.0.0.1", PORT, process_request=gateway.admit, ping_interval=20, ping_timeout=30):
        tasks = [asyncio.create_task(work()) for work in (gateway.beat, gateway.obey, heartbeat.pulse)]
        log.info("gateway ready", port=PORT, node=gateway.node, reason="started")
        await ended.wait()
        for task in tasks:
            task.cancel()
    await asyncio.gather(*(gateway.leave(client) for client in list(gateway.clients.values())))


if __name__ == "__main__":
    logs.configure()
    asyncio.run(main())
