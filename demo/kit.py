"""A test kit for gateways that speak Supabase Realtime: may one person starve, flood or pass for another?

    WEDOPS_PERMIT=… python -m demo.kit ws://127.0.0.1:4000/socket/websocket w-17

`wedops permit issue` makes the permit, for a guest of the wedding. Each check opens connections of its own,
at most three at a time; the longest, 300 joins, takes some 20 s. Exit code 1 when one fails.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from demo import phoenix

#: In seconds: what a healthy gateway answers within, and for how long the storm lasts at most.
PATIENCE, STORM = 3.0, 15.0


@dataclass(frozen=True)
class Gateway:
    """Where it is, and who connects."""

    url: str
    permit: str
    wedding: str
    region: str = "us-south"

    @property
    def topic(self) -> str:
        """Return a channel of the wedding."""
        return f"realtime:wedding:{self.wedding}"

    @asynccontextmanager
    async def person(self, permit: str | None = None) -> AsyncIterator[ClientConnection]:
        """Yield a connection."""
        query = urlencode(
            {"apikey": self.permit if permit is None else permit, "region": self.region, "vsn": "1.0.0"}
        )
        address = f"{self.url}?{query}"
        socket = await connect(address, ping_interval=None, max_size=None, close_timeout=1)
        try:
            yield socket
        finally:
            # What asyncio's transports of 3.11 raise when they are ended twice: one that was closing sent its
            # last byte at this very moment.
            with suppress(AttributeError):
                await socket.close()


async def _ask(socket: ClientConnection, frame: phoenix.Frame) -> str:
    """Send a frame and return the status that answers it.

    `closed` when the connection ends, `silent` when nothing comes.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            await socket.send(frame.text())
            async for text in socket:
                told = orjson.loads(text)
                if told.get("event") == phoenix.REPLY and told.get("ref") == frame.ref:
                    return str(told["payload"]["status"])
    except ConnectionClosed:
        return "closed"
    except TimeoutError:
        return "silent"
    return "closed"


async def _let_in(gateway: Gateway) -> str:
    async with gateway.person() as socket:
        said = await _ask(socket, phoenix.Frame(gateway.topic, phoenix.JOIN, {}, "1", "1"))
        return "" if said == "ok" else f"who has a permit may not join the wedding ({said})"


async def _kept_out(gateway: Gateway) -> str:
    for permit in ("", "nonsense", gateway.permit[:-4] + "AAAA"):
        with suppress(InvalidHandshake, ConnectionClosed):
            async with gateway.person(permit) as socket:
                if await _ask(socket, phoenix.Frame(gateway.topic, phoenix.JOIN, {}, "1", "1")) == "ok":
                    return "somebody without a permit may join"
    return ""


async def _other_weddings(gateway: Gateway) -> str:
    # Another wedding, channels without one, and names that hold the right one at another place.
    own = gateway.wedding
    for name in ("wedding:another", "timeline:another", "timeline", own, f"x:y:{own}", f"another:x:{own}"):
        async with gateway.person() as socket:
            if await _ask(socket, phoenix.Frame(f"realtime:{name}", phoenix.JOIN, {}, "1", "1")) == "ok":
                return f"a permit for {own} joins realtime:{name}"
    return ""


class NotJoined(Exception):
    """Somebody with a permit could not join: then nothing else is known."""


async def _join(gateway: Gateway, socket: ClientConnection) -> None:
    if (said := await _ask(socket, phoenix.Frame(gateway.topic, phoenix.JOIN, {}, "1", "1"))) != "ok":
        raise NotJoined(f"the first join was answered with {said}")


async def _flood(gateway: Gateway, payload: dict[str, object]) -> bool:
    """Have one send as fast as it can; tell whether it was closed."""
    async with gateway.person() as socket:
        await _join(gateway, socket)
        text = phoenix.Frame(gateway.topic, phoenix.BROADCAST, {"payload": payload}, "2", "1").text()
        try:
            async with asyncio.timeout(STORM):
                while True:
                    await socket.send(text)
        except ConnectionClosed:
            return True
        except TimeoutError:
            return False


async def _storm(gateway: Gateway) -> str:
    """Two flood; a third must be answered all the while."""
    async with gateway.person() as other:
        await _join(gateway, other)
        storm = asyncio.gather(_flood(gateway, {"n": 1}), _flood(gateway, {"text": "x" * 20_000}))
        beats: list[str] = []
        while not storm.done():
            beats.append(await _ask(other, phoenix.Frame("phoenix", phoenix.HEARTBEAT, ref=f"h{len(beats)}")))
            await asyncio.sleep(0.2)
        if not all(await storm):
            return "who sends as fast as they can is not closed"
        return (
            ""
            if set(beats) <= {"ok"}
            else f"a bystander was not answered during a storm of two ({set(beats) - {'ok'}})"
        )


async def _large(gateway: Gateway) -> str:
    async with gateway.person() as socket:
        await _join(gateway, socket)
        told = await _ask(
            socket, phoenix.Frame(gateway.topic, phoenix.BROADCAST, {"text": "x" * 5_000_000}, "2", "1")
        )
        return "" if told in ("closed", "error") else f"a message of 5 MB is taken ({told})"


async def _topics(gateway: Gateway) -> str:
    async with gateway.person() as socket:
        await _join(gateway, socket)
        for number in range(300):
            told = await _ask(
                socket,
                phoenix.Frame(f"{gateway.topic}:{number}", phoenix.JOIN, {}, f"t{number}", f"t{number}"),
            )
            if told in ("closed", "error"):
                return ""
            if told == "silent":
                return f"a join after {number} others is not answered"
            # Slower than any limit on messages, or that would be what is met.
            await asyncio.sleep(0.06)
    return "one connection joins 300 topics"


async def _presence(gateway: Gateway) -> str:
    async with gateway.person() as socket:
        await _join(gateway, socket)
        payload = {"type": "presence", "event": "track", "payload": {"text": "x" * 100_000}}
        told = await _ask(socket, phoenix.Frame(gateway.topic, phoenix.PRESENCE, payload, "2", "1"))
        return "" if told in ("closed", "error") else f"100 kB are tracked of one person ({told})"


async def _nonsense(gateway: Gateway) -> str:
    async with gateway.person() as other:
        for text in (
            "",
            "{}",
            "[]",
            "null",
            "[" * 50_000,
            '{"topic":7,"event":[]}',
            "\x00",
            b"\x03",
            b"\xff" * 100,
        ):
            with suppress(ConnectionClosed):
                async with gateway.person() as socket:
                    await socket.send(text)
                    await asyncio.sleep(0.1)
        told = await _ask(other, phoenix.Frame("phoenix", phoenix.HEARTBEAT, ref="1"))
        return "" if told == "ok" else f"after messages that are none nobody is answered ({told})"


CHECKS: dict[str, Callable[[Gateway], Awaitable[str]]] = {
    "who has a permit is let in": _let_in,
    "who has none is not": _kept_out,
    "a permit is for its wedding only": _other_weddings,
    "what is no message harms nobody": _nonsense,
    "a message has a size": _large,
    "what is tracked has a size": _presence,
    "topics have a number": _topics,
    "who floods is closed, and nobody else": _storm,
}


async def check(gateway: Gateway) -> dict[str, str]:
    """Return what is wrong by check, empty where nothing is."""
    found = {}
    for name, one in CHECKS.items():
        try:
            found[name] = await one(gateway)
        except (OSError, InvalidHandshake, ConnectionClosed, NotJoined) as error:
            found[name] = f"it could not be tried ({type(error).__name__}: {error})"
        # A gateway may make who was closed wait at its door.
        await asyncio.sleep(1)
    return found


def main() -> int:
    """Check the gateway that the command line names; return the exit code."""
    if len(sys.argv) != 3 or not (permit := os.environ.get("WEDOPS_PERMIT")):
        print(__doc__, file=sys.stderr)
        return 2
    found = asyncio.run(check(Gateway(sys.argv[1], permit, sys.argv[2])))
    for name, wrong in found.items():
        print(f"{'FAILED' if wrong else 'ok':<7}{name}{': ' if wrong else ''}{wrong}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
