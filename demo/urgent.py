"""Urgent messages at a gateway: ahead of everything that waits for a socket, and proved to have arrived."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed

from demo import phoenix
from demo.client import Client
from workers.connections.rules import channels
from workers.delivery.formats import EVENT
from workers.delivery.keys import IN, URGENT
from workers.delivery.rules import State, recipient_of
from workers.foundation import logs, settings
from workers.weddings.rules.calendar import ID, ID_REMEDY

log = logs.get("gateway")

#: In seconds: between looks while nobody is here; who has not proved by then that a message arrived is
#: reported as sent; between attempts while Redis is unavailable.
NOBODY, PROOF, AGAIN = 0.02, 1.0, 0.25
#: What one call takes, and how much is kept while Redis is unavailable.
AT_ONCE, KEPT = 500, 100_000


class Urgent:
    """What a gateway does with urgent messages. One server, no cluster: it is a demo."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        """Serve `clients`, by id."""
        servers = settings.servers()
        self.clients = clients
        # Who reconnects by itself says nothing of what it missed meanwhile.
        self._redis: Any = Redis.from_url(
            servers.connections_url or servers.broker_url,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=5,
        )
        #: By wedding and by whom messages are for, the sockets by id.
        self._weddings: dict[str, dict[str, dict[str, Client]]] = defaultdict(dict)
        self._receipts: list[tuple[str, ...]] = []
        self._came: list[tuple[str, ...]] = []
        self._some = asyncio.Event()
        self._changed = asyncio.Event()
        self._heard: set[str] = set()
        self._works: set[asyncio.Task[None]] = set()

    def joined(self, client: Client) -> None:
        """Have somebody who joined a channel get what they have not acknowledged."""
        who = _who(client)
        if who and client.record.wedding_id:
            people = self._weddings[client.record.wedding_id]
            people.setdefault(who, {})[client.record.id] = client
            if client.record.wedding_id not in self._heard:
                self._changed.set()
            else:
                self._report_joined([client])

    def _report_joined(self, clients: list[Client]) -> None:
        self._came += [(one.record.wedding_id or "", _who(one)) for one in clients]
        self._some.set()

    def left(self, client: Client) -> None:
        """Forget somebody who is gone."""
        wedding, who = client.record.wedding_id or "", _who(client)
        people = self._weddings.get(wedding, {})
        people.get(who, {}).pop(client.record.id, None)
        if not people.get(who):
            people.pop(who, None)
        if not people and self._weddings.pop(wedding, None) is not None:
            self._changed.set()

    def receipt(self, client: Client, asked: Any) -> str:
        """Take a receipt of a client's application; return what is wrong with it, or nothing."""
        state = asked.get("state") if isinstance(asked, dict) else None
        identifier = asked.get("identifier") if isinstance(asked, dict) else None
        if state not in (State.DELIVERED, State.DISPLAYED, State.ACKNOWLEDGED):
            return "state must be delivered, displayed or acknowledged"
        # What the control plane would refuse must not keep others' receipts from it.
        if not isinstance(identifier, str) or not ID.fullmatch(identifier):
            return f"identifier must be that of a message: {ID_REMEDY}"
        if not client.record.wedding_id or not _who(client):
            return "identifier must be that of a message that you were sent"
        self._report(client, identifier, State(state))
        return ""

    def _report(self, client: Client, identifier: str, state: State) -> None:
        if len(self._receipts) < KEPT:
            self._receipts.append((client.record.wedding_id or "", identifier, _who(client), str(state)))
            self._some.set()
        else:
            log.error("receipt not kept", reason="full", message=identifier)

    async def listen(self) -> None:
        """Hear of messages for the weddings that have somebody here, until Redis is unavailable."""
        self._heard = set()
        try:
            async with (
                self._redis.pubsub(ignore_subscribe_messages=True) as channel,
                asyncio.TaskGroup() as both,
            ):
                # When one of them fails, the other ends with it: all is begun anew.
                both.create_task(self._follow(channel))
                both.create_task(self._read(channel))
        except* (RedisError, OSError) as errors:
            log.warning("no urgent messages", reason="redis", detail=str(errors.exceptions[0]))

    async def _follow(self, channel: Any) -> None:
        """Keep the subscriptions those of the weddings that are here."""
        while True:
            self._changed.clear()
            if gone := self._heard - self._weddings.keys():
                # Who joins one of them meanwhile subscribes anew.
                self._heard -= gone
                await channel.unsubscribe(*(URGENT + one for one in gone))
            if new := self._weddings.keys() - self._heard:
                await channel.subscribe(*(URGENT + one for one in new))
                self._heard |= new
                # Only now: what is published for who joins is heard.
                people = chain.from_iterable(self._weddings.get(one, {}).values() for one in new)
                self._report_joined(list(chain.from_iterable(one.values() for one in people)))
            await self._changed.wait()

    async def _read(self, channel: Any) -> None:
        while True:
            if not channel.subscribed:
                await asyncio.sleep(NOBODY)
            elif message := await channel.get_message(timeout=1.0):
                with suppress(orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
                    published = orjson.loads(message["data"])
                    self._give(published["message"], published["to"])

    def _give(self, message: dict[str, Any], to: list[str]) -> None:
        """Send a message to all sockets of those it is for, at once."""
        for (topic, version), clients in self._alike(message, to).items():
            broadcast_ = {"type": "broadcast", "event": EVENT, "payload": message}
            text = phoenix.Frame(topic, phoenix.BROADCAST, broadcast_).write(version)
            # Past each socket's queue, and without waiting for any of them.
            broadcast([one.socket for one in clients], text or "")
            for one in clients:
                self._keep(self._prove(one, message["identifier"]))

    def _alike(self, message: dict[str, Any], to: list[str]) -> dict[tuple[str, str], list[Client]]:
        """Return the sockets that a message is new to, by how it is written for them."""
        people, found = self._weddings.get(message["wedding_id"], {}), defaultdict[Any, list[Client]](list)
        for client in chain.from_iterable(people.get(who, {}).values() for who in to):
            if not (topic := _topic(client)):
                continue
            if client.takes(message):
                found[topic, client.version].append(client)
            elif client.has(message):
                # Its receipt was lost, or is on its way.
                self._keep(self._prove(client, message["identifier"]))
        return found

    def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    async def _prove(self, client: Client, identifier: str) -> None:
        """Report when a message arrived: a pong to what is sent behind it proves that.

        Any client answers a ping, by the protocol.
        """
        late = asyncio.get_running_loop().call_later(PROOF, self._report, client, identifier, State.SENT)
        with suppress(ConnectionClosed):
            try:
                await (await client.socket.ping())
            finally:
                late.cancel()
            self._report(client, identifier, State.DELIVERED)

    async def report(self) -> None:
        """Report receipts and who joined, as soon as there are any, until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            receipts, self._receipts = self._receipts, []
            came, self._came = self._came, []
            # What comes meanwhile does not wait for the answer.
            self._keep(self._send(receipts, came))
            await asyncio.sleep(0)

    async def _send(self, receipts: list[tuple[str, ...]], came: list[tuple[str, ...]]) -> None:
        receipts = await self._call("wedops_receipts", receipts)
        came = await self._call("wedops_joined", came)
        if receipts or came:
            await asyncio.sleep(AGAIN)
            self._receipts, self._came = receipts + self._receipts, came + self._came
            self._some.set()

    async def _call(self, function: str, rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Report to the control plane; return what it did not take now."""
        for first in range(0, len(rows), AT_ONCE):
            words = [word for row in rows[first : first + AT_ONCE] for word in row]
            try:
                await self._redis.fcall(function, 1, IN, *words)
            except RedisError as error:
                if "REFUSED" not in str(error):
                    log.warning("receipts wait", reason="redis", detail=str(error))
                    return rows[first:]
                log.error("receipts refused", reason="refused", detail=str(error))
        return []

    def always(self) -> dict[str, Callable[[], Any]]:
        """Return what goes on beside the connections, by name."""
        return {"urgent": self.listen, "receipts": self.report}


def _who(client: Client) -> str:
    """Return as whom a client gets messages; nobody for a vendor of no supplier."""
    record = client.record
    return str(recipient_of(record.user_type, record.user_id, record.supplier_id) or "")


def _topic(client: Client) -> str:
    """Return the topic by which a client hears of urgent messages: the most personal one that it joined."""
    own = [one for one in client.topics if channels.canonical(one).startswith(f"{channels.KIND}:")]
    return max(own or client.topics, key=lambda one: channels.canonical(one).count(":"), default="")
