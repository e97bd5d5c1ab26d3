"""A small realtime gateway for the demo and the tests, on loopback.

Supabase's protocol outside, our registry inside.

    python -m demo.gateway        ws://127.0.0.1:4000/socket/websocket?apikey=PERMIT&region=…&device=mobile

The permit says who comes and for which wedding; see docs/guides/gateway.md.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from redis.exceptions import RedisError
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from demo import addresses, door, limits, phoenix
from demo.cache import RESTORED_FOR, Reader, Rememberer
from demo.channels import Channels
from demo.client import UNWRITTEN, Client, client_of
from demo.orders import Orders
from demo.tenants import Tenant
from demo.traffic import Traffic
from demo.urgent import Urgent
from workers.connections.formats.permits import PermitRefused
from workers.connections.rules.channels import canonical
from workers.connections.store import registry
from workers.connections.store.registry import Admission, Connection, ConnectionRefused, Measurement
from workers.connections.usecases import permits
from workers.foundation import background, clock, heartbeat, logs, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.penalties import Penalties

log = logs.get("gateway")

GOODBYES = {1000, 1001}
#: Sockets that are written to before the loop looks again whether something urgent came.
AT_ONCE = 8


class Gateway:
    """Sockets by id, and the state that the control plane wants."""

    def __init__(self) -> None:
        """Start with nobody connected."""
        self.clients: dict[str, Client] = {}
        self.admitted: dict[str, Client] = {}
        self.by_region = Counter[str]()
        self.gone = 0
        self.works: set[asyncio.Task[None]] = set()
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.traffic = Traffic(door.NODE)
        self.orders = Orders(door.NODE, f"{addresses.GATEWAY}/socket", door.CAPACITY, door.REGIONS, self.end)
        self.urgent, self.reader, self.rememberer = Urgent(self.clients), Reader(), Rememberer(self.clients)
        self.channels = Channels(self.clients, self.orders.level, self.urgent, self.rememberer.changed)
        self.tenant = Tenant(self.channels.publish)
        self.tenant.serve()
        self.penalties = Penalties()

    @property
    def sent(self) -> int:
        """Return how many bytes of others' messages were ever sent."""
        return self.gone + sum(client.sent for client in self.clients.values())

    async def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake with its reason, or remember who comes."""
        address, held = door.opaque(socket), len(self.clients) + len(self.admitted)
        arrived = asyncio.get_running_loop().time()
        try:
            asked = door.asked(request.path)
            permit = permits.read(asked.get("apikey", ""), self.orders.revoked)
            record = door.record(permit, asked)
            needed = await self.reader.read(permit, asked["apikey"])
            record = door.restored(record, needed.channels)
            answer = await self._ask(record, address, held, reuse="reuse" in asked)
        except PermitRefused as error:
            return await self._turn_away(socket, error, address)
        except ConnectionRefused as error:
            return door.refuse(socket, Admission(ok=False, reason="invalid"), str(error))
        except (ExpectedError, RedisError) as error:
            return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n")
        if not answer.ok or answer.reused:
            return door.refuse(socket, answer)
        if not self.orders.level(record)["compression"]:
            # What the client offers is not seen by the rest of the handshake, so nothing is agreed on.
            with suppress(KeyError):
                del request.headers["Sec-WebSocket-Extensions"]
        version = asked.get("vsn", "1.0.0")
        client = client_of(socket, record, permit, version, arrived, self.traffic, self.turns)
        client.needed, client.restored = needed.reply(), door.taken(record, answer)
        self.admitted[record.id] = client
        asyncio.get_running_loop().call_later(10, lambda: self._keep(self._give_up(record.id)))
        socket.id = record.id  # type: ignore[assignment]
        return None

    async def _turn_away(self, socket: ServerConnection, error: PermitRefused, address: str) -> Response:
        """Refuse a bad permit: who keeps trying them waits for each answer, and who has a good one never."""
        wait = await asyncio.to_thread(door.count, error.reason, address)
        if not await self.penalties.hold(address):
            return door.refuse(socket, Admission(ok=False, reason="too_fast", retry_after_ms=60_000))
        refusal = Admission(ok=False, reason=error.reason, retry_after_ms=wait)
        return door.refuse(socket, refusal, str(error))

    async def _ask(self, record: Connection, address: str, held: int, *, reuse: bool) -> Admission:
        """Ask the registry, unless the region or the tenant is full."""
        full = self.by_region[record.region] >= self.orders.limits.get(record.region, 1_000_000)
        if full or held >= self.tenant.limit:
            wait = await asyncio.to_thread(door.count, "region_full", address)
            return Admission(ok=False, reason="region_full", retry_after_ms=max(wait, 5000))
        facts: dict[str, Any] = {"held": held, "capacity": door.CAPACITY, "reuse": reuse}
        return await asyncio.to_thread(registry.open, record, address=address, **facts)

    async def _give_up(self, id: str) -> None:
        """Give back the place of somebody whose handshake failed after all: nobody will beat for them."""
        if client := self.admitted.pop(id, None):
            await door.inform(registry.lost, client.record.ref)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.works.add(task)
        task.add_done_callback(self.works.discard)

    async def serve(self, socket: ServerConnection) -> None:
        """Talk to one client until its socket ends."""
        client = self.clients[str(socket.id)] = self.admitted.pop(str(socket.id))
        self.traffic.took(client.record.region, "connect", asyncio.get_running_loop().time() - client.arrived)
        self.by_region[client.record.region] += 1
        asyncio.get_running_loop().call_later(RESTORED_FOR, lambda: self._keep(self._end_restored(client)))
        writers = [asyncio.create_task(one.write()) for one in (client.outbox, client.prompt)]
        try:
            async for text in socket:
                client.messages += 1
                client.size += len(text)
                if not client.allowance.spend(len(text), asyncio.get_running_loop().time()):
                    await self._too_fast(client)
                    break
                if frame := phoenix.read(text):
                    await self.channels.answer(client, frame, len(text))
                # A socket that always has something to read must not keep the others waiting.
                await asyncio.sleep(0)
        except ConnectionClosed:
            pass
        finally:
            for writer in writers:
                writer.cancel()
            await self.leave(client)

    async def _end_restored(self, client: Client) -> None:
        """End what was restored of somebody and they did not join again."""
        left, client.restored = sorted(client.restored - client.names.keys()), set()
        if left and client.record.id in self.clients:
            await door.inform(registry.unsubscribe, client.record.ref, left)

    async def _too_fast(self, client: Client) -> None:
        """Close who takes more than a share, and nobody else; the next handshake from there waits."""
        log.warning("connection closed", reason=limits.TOO_FAST, node=door.NODE)
        await asyncio.to_thread(door.count, limits.TOO_FAST, door.opaque(client.socket))
        await client.socket.close(1008, limits.TOO_FAST)

    async def leave(self, client: Client) -> None:
        """Take a client out; one that went without a goodbye keeps its place until the next sweep."""
        if self.clients.pop(client.record.id, None) is None:
            return
        self.by_region[client.record.region] -= 1
        self.gone += client.sent
        self.urgent.left(client)
        await door.inform(
            registry.close if client.socket.close_code in GOODBYES else registry.lost, client.record.ref
        )
        for topic in client.topics:
            self.channels.publish(topic, self.channels.presence.leave(topic, client.record.id))

    def end(self, id: str) -> None:
        """Close a socket that the control plane has ended.

        A client that does not answer keeps nobody waiting.
        """
        if client := self.clients.get(id):
            self._keep(client.socket.close(4000, "ended by the control plane"))

    async def end_permits(self) -> None:
        """Close who holds no good permit any more: it has expired and was not renewed, or was taken back."""
        while True:
            await asyncio.sleep(0.25)
            at = clock.epoch()
            for client in list(self.clients.values()):
                if why := door.ended(client.permit, self.orders.revoked, at=at):
                    self._keep(client.socket.close(4001, why))

    def always(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return what goes on beside the connections, by name."""
        return {
            "beat": self.beat,
            "orders": self.orders.obey,
            "report": lambda: self.orders.report(lambda: self.by_region, lambda: self.sent),
            "traffic": self.traffic.report,
            "heartbeat": heartbeat.pulse,
            "remember": self.rememberer.remember,
            "permits": self.end_permits,
            **self.urgent.always(),
        }

    async def _pings(self, at: float) -> list[Measurement]:
        """Ping those whose turn it is; return what was measured of those who answered."""
        due = [client for client in self.clients.values() if client.next_beat <= at]
        seconds = [float(self.orders.level(client.record)["heartbeat_seconds"]) for client in due]
        pings = await asyncio.gather(*(one.ping(at, pause) for one, pause in zip(due, seconds, strict=True)))
        return [one for one in pings if one]

    async def beat(self) -> None:
        """Ping each client as often as its service level says; show the registry who answered, how fast.

        Who does not answer is not shown: an open socket is no sign of life.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.5)
            self.channels.shares = (
                sum(self.orders.level(one.record)["bandwidth_share"] for one in self.clients.values()) or 1
            )
            try:
                for ref in await asyncio.to_thread(registry.measure, await self._pings(loop.time())):
                    await self._again(ref)
            except (ExpectedError, RedisError) as error:
                log.warning("no heartbeat", reason="redis", detail=str(error))

    async def _again(self, ref: str) -> None:
        """Open again what the registry does not know any more, or end it."""
        if client := self.clients.get(ref.rpartition("/")[2]):
            channels = tuple(dict.fromkeys(map(canonical, client.topics)))
            record = replace(client.record, channels=channels)
            if not (await asyncio.to_thread(registry.open, record, resume=True)).ok:
                self.end(record.id)
            elif record.id not in self.clients:
                # It left meanwhile: nobody else would say so.
                await asyncio.to_thread(registry.lost, record.ref)


async def main() -> None:
    """Serve until told to end."""
    gateway, ended = Gateway(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with serve(
        gateway.serve,
        "127.0.0.1",
        door.PORT,
        ssl=addresses.gateways_tls(),
        process_request=gateway.admit,
        ping_interval=None,
        max_size=limits.LARGEST,
        write_limit=UNWRITTEN,
        origins=limits.origins(),
        close_timeout=2,
        start_serving=False,
    ) as server:
        await server.start_serving()
        tasks = [asyncio.create_task(background.kept(name, work)) for name, work in gateway.always().items()]
        log.info("gateway ready", port=door.PORT, node=door.NODE, reason="started")
        await ended.wait()
        for task in tasks:
            task.cancel()
    await asyncio.gather(*(gateway.leave(client) for client in list(gateway.clients.values())))
    await asyncio.to_thread(gateway.orders.leave)


if __name__ == "__main__":
    settings.settle_environment()
    logs.configure()
    asyncio.run(main())
