"""What a gateway does with channels: who joins and leaves, and what is relayed to whom."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from redis.exceptions import RedisError

from demo import door, limits, phoenix
from demo.client import Client
from demo.presence import Presence
from demo.urgent import Urgent
from workers.connections.rules import sending
from workers.connections.rules.admission import UserType, names_wedding
from workers.connections.rules.channels import canonical
from workers.connections.rules.shedding import Feature
from workers.connections.store import registry
from workers.connections.store.registry import Connection
from workers.connections.usecases import permits
from workers.delivery.formats import EVENT, RECEIPT
from workers.foundation import logs
from workers.foundation.errors import ExpectedError

log = logs.get("gateway")

#: Why nobody may broadcast what looks like a message of the control plane.
RESERVED = f"the event {EVENT!r} is the control plane's: use another name"
#: What the node can send, bytes a second; its people share it by their service levels.
BANDWIDTH = float(os.environ.get("GATEWAY_BANDWIDTH", "50e6"))


def _feature(message: phoenix.Frame) -> Feature | None:
    """Return as which feature a message may be shed; None: it is none that people can do without."""
    if message.event.startswith("presence"):
        return Feature.PRESENCE
    typing = message.event == phoenix.BROADCAST and message.payload.get("event") == "typing"
    return Feature.TYPING if typing else None


def _renewed(client: Client, frame: phoenix.Frame) -> phoenix.Frame:
    """Renew a client's permit by the token that it sends; return the answer."""
    try:
        client.permit = permits.renew(client.permit, str(frame.payload.get("access_token") or ""))
    except (ExpectedError, RedisError) as error:
        return frame.reply({"reason": str(error)}, "error")
    return frame.reply({})


class Channels:
    """The topics of a node's clients."""

    def __init__(
        self,
        clients: Mapping[str, Client],
        level: Callable[[Connection], dict[str, Any]],
        urgent: Urgent,
        changed: Callable[[Client], None],
    ) -> None:
        """Serve `clients`, by id.

        `level` returns the service level of a connection; `changed` hears of a client that joined or left.
        """
        self.clients, self.level, self.urgent, self.changed = clients, level, urgent, changed
        self.presence = Presence()
        #: The weights of all clients, added up.
        self.shares = 1

    async def answer(self, client: Client, frame: phoenix.Frame, size: int) -> None:
        """Do what a client's message of `size` characters asks."""
        if why := limits.problem(frame, size, len(client.topics)):
            await client.tell(frame.reply({"reason": why}, "error"))
        elif frame.event == phoenix.JOIN:
            await self._join(client, frame)
        elif frame.event == phoenix.LEAVE:
            await self._leave(client, frame)
        elif frame.event == phoenix.HEARTBEAT:
            await client.tell(frame.reply({}))
        elif frame.event == phoenix.ACCESS_TOKEN:
            await client.tell(await asyncio.to_thread(_renewed, client, frame))
        elif frame.topic not in client.topics:
            await client.tell(frame.reply({"reason": "unmatched topic"}, "error"))
        else:
            await self._push(client, frame)

    async def _push(self, client: Client, frame: phoenix.Frame) -> None:
        name = frame.payload.get("event")
        if frame.event == phoenix.BROADCAST and name in (EVENT, RECEIPT):
            why = self.urgent.receipt(client, frame.payload.get("payload")) if name == RECEIPT else RESERVED
            await client.tell(frame.reply({"reason": why}, "error") if why else frame.reply({}))
        elif frame.event == phoenix.BROADCAST:
            if why := sending.problem(client.record.user_type, canonical(frame.topic), str(name)):
                await client.tell(frame.reply({"reason": why}, "error"))
                return
            self._relay(client, phoenix.Frame(frame.topic, phoenix.BROADCAST, frame.payload))
            if client.topics[frame.topic][1]:
                await client.tell(frame.reply({}))
        elif frame.event == phoenix.PRESENCE:
            await client.tell(frame.reply({}))
            self.publish(frame.topic, self.presence.take(frame, client.record.id))

    async def _join(self, client: Client, frame: phoenix.Frame) -> None:
        channel = canonical(frame.topic)
        if why := sending.presence_problem(client.record.user_id, phoenix.presence_key(frame.payload)):
            await client.tell(frame.reply({"reason": why}, "error"))
            return
        # What was restored was checked when the connection was opened.
        known = channel in client.restored
        if not known and (why := await asyncio.to_thread(self._may_not_join, client, channel)):
            await client.tell(frame.reply({"reason": why}, "error"))
            return
        client.topics[frame.topic] = phoenix.config(frame.payload)
        client.names[channel] = frame.topic
        self.changed(client)
        needed = {} if self._is_shed(client, Feature.HISTORY) else client.needed
        await client.tell(frame.reply({"postgres_changes": [], **needed}))
        state, left = self.presence.join(frame, client.record.id)
        self.publish(frame.topic, left)
        await client.tell(state)
        self.urgent.joined(client)

    async def _leave(self, client: Client, frame: phoenix.Frame) -> None:
        client.topics.pop(frame.topic, None)
        client.names.pop(canonical(frame.topic), None)
        self.publish(frame.topic, self.presence.leave(frame.topic, client.record.id))
        channel = canonical(frame.topic)
        client.restored.discard(channel)
        self.changed(client)
        if channel not in map(canonical, client.topics):
            await door.inform(registry.unsubscribe, client.record.ref, [channel])
        await client.tell(frame.reply({}))

    def _may_not_join(self, client: Client, channel: str) -> str:
        if not names_wedding(channel, client.record.wedding_id or ""):
            door.count("wrong_wedding", client.record.id)
            return "wrong_wedding"
        try:
            answer = registry.subscribe(
                client.record.ref, [channel], supplier_type=client.record.supplier_type or ""
            )
        except (ExpectedError, RedisError) as error:
            log.warning("not joined", reason="redis", detail=str(error))
            return "unavailable"
        if answer is None:
            return "swept"
        return next((why for kind in answer.values() for _, why in kind.get("refused", ())), "")

    def _is_shed(self, client: Client, feature: Feature) -> bool:
        return feature in self.level(client.record).get("shed", ())

    def publish(self, topic: str, message: phoenix.Frame | None) -> None:
        """Send a message, if there is one, to all who joined the topic, by whatever name."""
        if message:
            self._post(self._people(topic), message)

    def _people(self, topic: str) -> list[Client]:
        channel = canonical(topic)
        return [one for one in self.clients.values() if channel in one.names]

    def _relay(self, sender: Client, message: phoenix.Frame) -> None:
        if self._waits(sender, message) and self._is_shed(sender, Feature.BROADCAST):
            return
        own = sender.topics[message.topic][0]
        people = [one for one in self._people(message.topic) if one is not sender or own]
        self._post(people, message, late=sender.rtt / 2)

    def _waits(self, sender: Client, message: phoenix.Frame) -> bool:
        """Tell whether a message is a guest's, on a channel of a kind that waits."""
        kind = canonical(message.topic).partition(":")[0]
        guest = sender.record.user_type == UserType.GUEST
        return guest and kind not in self.level(sender.record).get("prompt", ())

    def _post(self, people: list[Client], message: phoenix.Frame, *, late: float = 0.0) -> None:
        channel, texts = canonical(message.topic), dict[tuple[str, str], str | bytes | None]()
        since, kind = asyncio.get_running_loop().time() - late, channel.partition(":")[0]
        feature = _feature(message)
        for client in people:
            if feature and self._is_shed(client, feature):
                continue
            # Written once for each version and name, however many hear it.
            key = client.names[channel], client.version
            if key not in texts:
                texts[key] = replace(message, topic=key[0]).write(client.version)
            if (text := texts[key]) is not None:
                level = self.level(client.record)
                if kind in level.get("prompt", ()):
                    client.prompt.put(text, level | {"batch_ms": 0}, BANDWIDTH, since=since)
                else:
                    share = BANDWIDTH * level["bandwidth_share"] / self.shares
                    client.outbox.put(text, level, share, since=since)
