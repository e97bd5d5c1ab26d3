"""People of a wedding on real sockets, by Supabase's protocol: suppliers, or guests.

python -m benchmarks.urgent.people PORTS WEDDING suppliers|guests COUNT FILE

Prints `ready`, and heeds lines of standard input: `cut N` breaks N sockets, `end` writes what came to FILE.
"""

import asyncio
import random
import sys
from pathlib import Path
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from demo import phoenix
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.foundation import clock

AGAIN = 0.05


class Crowd:
    """Everybody's sockets, and what came to whom when."""

    def __init__(self, ports: list[str], wedding: str, what: str, count: int) -> None:
        """Begin with nobody connected."""
        self.ports, self.wedding, self.what, self.count = ports, wedding, what, count
        self.sockets: dict[int, ClientConnection] = {}
        #: (identifier, person, revision, thread, epoch), and (person, epoch) of those who joined again.
        self.came: list[tuple[str, int, int, str, float]] = []
        self.joined: list[tuple[int, float]] = []
        self.ready = asyncio.Event()

    def permit(self, number: int) -> str:
        """Return a person's permit."""
        if self.what == "guests":
            return permits.issue(Permit(f"g{number}", "guest", self.wedding))
        return permits.issue(Permit(f"u{number}", "vendor", self.wedding, f"s{number}", "band"))

    async def stay(self, number: int) -> None:
        """Be connected, whatever happens."""
        while True:
            asked = {"apikey": self.permit(number), "region": "us-northeast", "vsn": "1.0.0"}
            port = self.ports[number % len(self.ports)]
            address = f"ws://127.0.0.1:{port}/socket/websocket?{urlencode(asked)}"
            try:
                async with connect(address, ping_interval=None, max_size=None, open_timeout=20) as socket:
                    await self._talk(number, socket)
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError, AttributeError):
                await asyncio.sleep(AGAIN)

    async def _talk(self, number: int, socket: ClientConnection) -> None:
        topic = f"realtime:wedding:{self.wedding}"
        await socket.send(phoenix.Frame(topic, phoenix.JOIN, {}, "1", "1").text())
        async for text in socket:
            if self.what == "suppliers" or number not in self.sockets:
                self._hear(number, socket, orjson.loads(text))

    def _hear(self, number: int, socket: ClientConnection, frame: dict[str, object]) -> None:
        now = clock.epoch()
        payload = frame["payload"]
        if frame["event"] == phoenix.REPLY and frame["ref"] == "1":
            self.joined.append((number, now))
            self.sockets[number] = socket
            if len(self.sockets) == self.count:
                self.ready.set()
        elif isinstance(payload, dict) and payload.get("event") == "urgent":
            message = payload["payload"]
            facts = message["revision"], message["thread"]
            self.came.append((message["identifier"], number, *facts, now))
        elif isinstance(payload, dict) and payload.get("event") == "plain":
            self.came.append((payload["payload"]["identifier"], number, 0, "", now))

    def cut(self, count: int) -> None:
        """Break some sockets, as a network does."""
        for number in random.sample(sorted(self.sockets), min(count, len(self.sockets))):
            self.sockets[number].transport.abort()


async def main(ports: str, wedding: str, what: str, count: str, file: str) -> None:
    """Stay until told to end."""
    crowd = Crowd(ports.split(","), wedding, what, int(count))
    people = []
    for number in range(int(count)):
        people.append(asyncio.create_task(crowd.stay(number)))
        await asyncio.sleep(0.004)
    await crowd.ready.wait()
    print("ready", flush=True)
    while (line := await _line()) != "end":
        if line.startswith("cut "):
            crowd.cut(int(line.removeprefix("cut ")))
    for one in people:
        one.cancel()
    Path(file).write_bytes(orjson.dumps({"came": crowd.came, "joined": crowd.joined}))


async def _line() -> str:
    return (await asyncio.to_thread(sys.stdin.readline)).strip() or "end"


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
