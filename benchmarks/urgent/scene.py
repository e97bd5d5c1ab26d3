"""The scene: servers, two gateways, people, a backlog, and processors that burn."""

import os
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

import httpx2
import jwt
import orjson

from benchmarks import form, system
from benchmarks.urgent import node
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.foundation import clock, database, redis
from workers.foundation.moments import Moment
from workers.processes import servers
from workers.weddings.rules.calendar import Status, VenueType, Wedding
from workers.weddings.store import weddings

SUPPLIERS, GUESTS, WAITING, WEDDING = 40, 1_000, 50_000, "w-urgent"
SECRET = "of-the-gateways-api-and-long-enough-for-it"  # noqa: S105 - of a benchmark's own servers
#: Seconds between two messages, in the mean, and between two broadcasts to everybody.
EVERY, BULK_EVERY = 0.1, 0.2
#: What is broadcast to everybody.
PHOTO = ("photo", {"text": "x" * 1_000})
_PYTHON = [sys.executable]


@dataclass
class Scene:
    """Where everything is, and the processes that may be killed."""

    home: Path
    system: system.System
    ports: list[str]
    apis: list[str]
    gateways: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    lane: "subprocess.Popen[bytes] | None" = None
    http: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=10))

    def start_gateway(self, number: int) -> None:
        """Start a gateway, again if it was killed."""
        environment = os.environ | {
            "GATEWAY_PORT": self.ports[number],
            "GATEWAY_API_PORT": self.apis[number],
            "GATEWAY_API_JWT_SECRET": SECRET,
            "GATEWAY_NODE": f"node-{number}",
            "GATEWAY_CAPACITY": "2000",
        }
        process = _start([*_PYTHON, "-m", "demo.gateway"], environment)
        self.gateways[number : number + 1] = [process]

    def start_lane(self) -> None:
        """Start the urgent lane, again if it was killed."""
        code = "from workers.cli.main import main; main()"
        self.lane = _start([*_PYTHON, "-c", code, "deliver", "--urgent"], os.environ)

    def broadcast(self, event: str, payload: dict[str, Any]) -> None:
        """Have all gateways broadcast something to everybody of the wedding."""
        now = int(clock.epoch())
        token = jwt.encode({"role": "service_role", "iat": now, "exp": now + 60}, SECRET, "HS256")
        body = {"messages": [{"topic": f"wedding:{WEDDING}", "event": event, "payload": payload}]}
        for port in self.apis:
            url = f"http://127.0.0.1:{port}/api/broadcast"
            self.http.post(url, json=body, headers={"Authorization": f"Bearer {token}"})


def _start(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command, env=environment, cwd=system.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=servers.die_with_parent(),
    )  # fmt: skip


@contextmanager
def stage() -> Iterator[Scene]:
    """Yield the scene without people."""
    os.environ |= {"CONNECTIONS_POOL_LIMIT": "1000", "DELIVERY_A_SECOND": "100000"}
    with system.started("urgent") as found:
        ports, apis = ([str(servers.free_port()) for _ in range(2)] for _ in range(2))
        scene = Scene(found.home, found, ports, apis)
        _book()
        try:
            for number in range(2):
                scene.start_gateway(number)
            scene.start_lane()
            form.wait_for(lambda: all(map(system.listens, scene.ports)), within=60)
            yield scene
        finally:
            for process in (*scene.gateways, scene.lane):
                if process:
                    process.kill()
                    process.wait()


def _book() -> None:
    """Have a wedding of 40 suppliers that begins in 12 minutes."""
    suppliers = tuple(f"s{number}" for number in range(SUPPLIERS))
    starts = clock.now() + timedelta(minutes=12)
    ends, local = starts + timedelta(hours=30), starts.replace(tzinfo=None)
    facts = 1_000, VenueType.GARDEN, "us-northeast", Status.CONFIRMED, suppliers
    duties = {one: {"type": "band"} for one in suppliers}
    when = local, local + timedelta(hours=30), "UTC", Moment(starts), Moment(ends)
    with database.transaction() as db:
        weddings.upsert(db, [Wedding(WEDDING, *when, *facts, duties=duties)], at=clock.now())


def tell(process: "subprocess.Popen[str]", line: str) -> None:
    """Write a line to a process."""
    if process.stdin:
        process.stdin.write(line + "\n")
        process.stdin.flush()


def heard(process: "subprocess.Popen[str]") -> str:
    """Return the next line that a process says."""
    return process.stdout.readline().strip() if process.stdout else ""


@dataclass
class People:
    """A process of people, and where it writes what came."""

    process: "subprocess.Popen[str]"
    file: Path

    def say(self, line: str) -> None:
        """Tell it something."""
        tell(self.process, line)

    def end(self) -> dict[str, Any]:
        """End it; return what came."""
        self.say("end")
        self.process.wait(60)
        found: dict[str, Any] = orjson.loads(self.file.read_bytes())
        return found


@contextmanager
def suppliers(scene: Scene) -> Iterator[People]:
    """Yield the suppliers, connected."""
    own = (Permit(f"u{number}", "vendor", WEDDING, f"s{number}", "band") for number in range(SUPPLIERS))
    with _connected(scene, "suppliers", own) as people:
        yield people


@contextmanager
def guests(scene: Scene) -> Iterator[People]:
    """Yield a thousand guests, connected, who only listen."""
    own = (Permit(f"g{number}", "guest", WEDDING) for number in range(GUESTS))
    with _connected(scene, "", own) as people:
        yield people


@contextmanager
def _connected(scene: Scene, name: str, own: Iterable[Permit]) -> Iterator[People]:
    tokens, file = scene.home / f"permits-{name}.json", scene.home / f"{name}.json"
    tokens.write_bytes(orjson.dumps([permits.issue(one, valid_for=permits.LONGEST) for one in own]))
    words = [",".join(scene.ports), WEDDING, str(tokens), *([str(file)] if name else [])]
    process = subprocess.Popen(
        [node.program(), "people.mjs", *words], cwd=node.HOME, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, preexec_fn=servers.die_with_parent(),
    )  # fmt: skip
    try:
        heard(process)
        yield People(process, file)
    finally:
        process.kill()
        process.wait()


@contextmanager
def burning() -> Iterator[None]:
    """Have 50,000 tasks wait, and two children work on them: both cores burn for the length of the block."""
    from benchmarks.emergency_latency import _message, _pile
    from benchmarks.probes import burn

    client = redis.registry()
    message = _message(client, "bulk", lambda: burn.apply_async(kwargs={"seconds": 0.05}))
    _pile(client, "bulk", message, WAITING)
    with form.worker("benchmarks.probes", "bulk", 2):
        form.wait_for(lambda: client.llen("bulk") < WAITING, within=60)
        yield
    client.delete("bulk")


@contextmanager
def bulk(send: Any) -> Iterator[None]:
    """Broadcast to everybody five times a second, for the length of the block."""
    ended = Event()

    def _talk() -> None:
        while not ended.wait(BULK_EVERY * random.uniform(0.5, 1.5)):
            send()

    thread = Thread(target=_talk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def at_random_moments(count: int, send: Any) -> None:
    """Send so many at random moments: in phase with the bulk it would be too slow, or too fast."""
    for number in range(count):
        sleep(min(1.0, random.expovariate(1 / EVERY)))
        send(number)
