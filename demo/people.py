"""People of the demo's weddings: they come, talk, go, and now and then drop off without a word.

python -m demo.people         follows the calendar and the world's clock
"""

import asyncio
import os
import random
import signal
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from itertools import count
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from demo import phoenix
from demo.addresses import GATEWAY, trusting
from workers.connections.formats import permits
from workers.delivery.formats import EVENT, RECEIPT
from workers.delivery.rules import State
from workers.forecasting.rules import forecast as forecasting
from workers.foundation import background, clock, database, heartbeat, logs, settings
from workers.foundation.moments import Moment
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings

MAX = int(os.environ.get("DEMO_PEOPLE", "400"))
A_SECOND = 25
TALK_EVERY = (4.0, 12.0)
DROP_OFF = 0.02
#: How often somebody who is about to send a sign of life has something to tell the others instead.
TELL = 0.1
#: In seconds, how long people take to read an urgent message, then to acknowledge it; few never do.
READ, ACKNOWLEDGE, IGNORE = (1.0, 8.0), (2.0, 30.0), 0.1

_numbers = count()


def wanted(now: Moment) -> Counter[calendar.Wedding]:
    """Return how many people of each wedding should be connected at `now`."""
    policy, phases, chance = forecasting.Policy(), calendar.Policy(), random.Random(now.timestamp() // 300)
    with database.transaction() as db:
        near = weddings.between(db, now - timedelta(hours=4), now + timedelta(hours=5))
    people: Counter[calendar.Wedding] = Counter()
    for wedding in near:
        mean = forecasting.participants(wedding, calendar.phase(wedding, phases, now=now), policy)
        people[wedding] = round(mean * chance.uniform(0.8, 1.2))
    scale = min(1.0, MAX / max(1, people.total()))
    return Counter({wedding: round(many * scale) for wedding, many in people.items()})


class Crowd:
    """Everybody who is connected, by wedding."""

    def __init__(self) -> None:
        """Start with nobody."""
        self.here: dict[str, list[asyncio.Task[None]]] = {}

    def _settle(self, wedding: Wedding, people: int, budget: int) -> int:
        """Have `people` at a wedding, of whom `budget` may be new; return how many are."""
        here = self.here.setdefault(wedding.id, [])
        here[:] = [task for task in here if not task.done()]
        new = max(0, min(budget, people - len(here)))
        here += [asyncio.create_task(person(wedding)) for _ in range(new)]
        for task in here[people:][:A_SECOND]:
            task.cancel()
        return new

    async def follow(self) -> None:
        """Bring people in and let them go, as the calendar says, a few at a time."""
        while True:
            target = await asyncio.to_thread(wanted, clock.now())
            budget = A_SECOND
            for wedding, people in target.items():
                budget -= self._settle(wedding, people, budget)
            for wedding_id in self.here.keys() - {wedding.id for wedding in target}:
                for task in self.here.pop(wedding_id):
                    task.cancel()
            await asyncio.sleep(1)


async def person(wedding: calendar.Wedding) -> None:
    """Be one person of a wedding for as long as the crowd wants."""
    number = next(_numbers)
    user_type = ("couple", "planner", "vendor", "vendor", "vendor")[number % 7] if number % 7 < 5 else "guest"
    supplier_id = (
        random.choice(wedding.supplier_ids) if user_type == "vendor" and wedding.supplier_ids else None
    )
    kind = calendar.supplier_type(wedding, supplier_id or "") or None
    permit = permits.issue(permits.Permit(f"u{number}", user_type, wedding.id, supplier_id, kind))
    device = "mobile" if number % 4 else "fixed"
    asked = {"apikey": permit, "region": wedding.region, "device": device, "vsn": "1.0.0"}
    try:
        address = f"{GATEWAY}/socket/websocket?{urlencode(asked)}"
        async with connect(address, ping_interval=None, ssl=trusting()) as socket:
            await _talk(socket, f"realtime:wedding:{wedding.id}")
    except (OSError, ConnectionClosed, InvalidStatus, TimeoutError):
        # Refused, or the gateway went away: the crowd sends another one.
        await asyncio.sleep(2)


async def _talk(socket: ClientConnection, topic: str) -> None:
    await socket.send(
        phoenix.Frame(topic, phoenix.JOIN, {"config": {"broadcast": {"self": False}}}, "1", "1").text()
    )
    listening = asyncio.create_task(_listen(socket, topic))
    try:
        while True:
            await asyncio.sleep(random.uniform(*TALK_EVERY))
            if random.random() < DROP_OFF:
                socket.transport.abort()
                return
            frame = phoenix.Frame("phoenix", phoenix.HEARTBEAT, ref="2")
            if random.random() < TELL:
                told = {"type": "broadcast", "event": "photo", "payload": {}}
                frame = phoenix.Frame(topic, phoenix.BROADCAST, told, "3", "1")
            await socket.send(frame.text())
    finally:
        listening.cancel()


async def _listen(socket: ClientConnection, topic: str) -> None:
    async with asyncio.TaskGroup() as readers:
        with suppress(ConnectionClosed):
            async for text in socket:
                frame = phoenix.read(text)
                if frame and frame.payload.get("event") == EVENT:
                    message = frame.payload["payload"]["identifier"]
                    readers.create_task(_acknowledge(socket, topic, message))


async def _acknowledge(socket: ClientConnection, topic: str, message: str) -> None:
    """Read an urgent message, and acknowledge it."""
    with suppress(ConnectionClosed):
        for state, lasts in ((State.DISPLAYED, READ), (State.ACKNOWLEDGED, ACKNOWLEDGE)):
            await asyncio.sleep(random.uniform(*lasts))
            if random.random() < IGNORE:
                return
            said = {"type": "broadcast", "event": RECEIPT, "payload": {"identifier": message, "state": state}}
            await socket.send(phoenix.Frame(topic, phoenix.BROADCAST, said, "4", "1").text())


async def main() -> None:
    """Follow the calendar until told to end."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    crowd = Crowd()
    tasks = [
        asyncio.create_task(background.kept(name, work))
        for name, work in (("heartbeat", heartbeat.pulse), ("crowd", crowd.follow))
    ]
    await ended.wait()
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    settings.settle_environment()
    logs.configure()
    asyncio.run(main())
