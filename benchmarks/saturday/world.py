"""The world of the Saturday: servers of its own, the calendar, nodes, who is connected."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks import crowd, form
from benchmarks import system as systems
from benchmarks.target import Target
from workers.connections.store.registry import Connection
from workers.foundation import clock
from workers.foundation.moments import Moment
from workers.processes import servers
from workers.weddings.rules.calendar import VenueType, Wedding

REGIONS = {
    "us-northeast": "America/New_York",
    "us-south": "America/Chicago",
    "us-midwest": "America/Chicago",
    "us-west": "America/Los_Angeles",
}
LASTS = timedelta(hours=8)
#: Of each wedding that runs, so many stand in the calendar.
CALENDAR = 10
PUSHER, SECRET = "saturday", "saturday-and-long-enough-for-a-token"


@dataclass
class World:
    """What there is: weddings that run, nodes by region, the connections' references by node."""

    home: Path
    servers: dict[str, servers.Server]
    target: Target
    api: str
    weddings: list[Wedding] = field(default_factory=list)
    nodes: dict[str, str] = field(default_factory=dict)
    refs: dict[str, list[str]] = field(default_factory=dict)

    def grow(self, weddings: int, connections: int, nodes: int) -> None:
        """Bring the world to so many weddings that run, connections and nodes."""
        regions = list(REGIONS)
        for number in range(len(self.nodes), nodes):
            self.nodes[f"rt-{number}"] = regions[number % len(regions)]
        had = len(self.weddings)
        fresh = [running(f"w-{number}", number) for number in range(had, weddings)]
        later = [
            ahead(f"l-{number}", number) for number in range(had * (CALENDAR - 1), weddings * (CALENDAR - 1))
        ]
        take([*fresh, *later])
        self.weddings += fresh
        each = connections // weddings
        people = list(self._people(fresh, each, sum(map(len, self.refs.values()))))
        for one, ref in zip(people, crowd.open_all(iter(people)), strict=True):
            self.refs.setdefault(one.node, []).append(ref)

    def _people(self, weddings: list[Wedding], each: int, first: int) -> Iterator[Connection]:
        homes = {region: [name for name, of in self.nodes.items() if of == region] for region in REGIONS}
        for place, wedding in enumerate(weddings):
            nodes = homes[wedding.region] or list(self.nodes)
            for person in range(each):
                number = first + place * each + person
                user_type = crowd.TYPES[person % len(crowd.TYPES)]
                yield Connection(
                    id=f"c{number:x}",
                    user_id=f"u{number}",
                    user_type=user_type,
                    node=nodes[place // len(REGIONS) % len(nodes)],
                    region=wedding.region,
                    wedding_id=wedding.id,
                    supplier_id=f"s{number}" if user_type == "vendor" else None,
                )


def take(weddings: list[Wedding]) -> int:
    """Have weddings in the calendar, or changed; return the calendar's version."""
    from workers.weddings.formats.rows import Reading
    from workers.weddings.usecases import importing

    return importing.take(Reading(weddings), now=clock.now()).version


def made(wedding_id: str, number: int, starts_at: datetime) -> Wedding:
    """Return a wedding that starts then."""
    region = list(REGIONS)[number % len(REGIONS)]
    zone = ZoneInfo(REGIONS[region])
    begins, ends = (at.replace(second=0, microsecond=0) for at in (starts_at, starts_at + LASTS))
    return Wedding(
        wedding_id,
        begins.astimezone(zone).replace(tzinfo=None),
        ends.astimezone(zone).replace(tzinfo=None),
        REGIONS[region],
        Moment(begins),
        Moment(ends),
        50 + number * 37 % 200,
        list(VenueType)[number % len(VenueType)],
        region,
        supplier_ids=tuple(f"s{number}-{place}" for place in range(14)),
    )


def running(wedding_id: str, number: int) -> Wedding:
    """Return a wedding that began some hours ago, and runs."""
    return made(wedding_id, number, clock.now() - timedelta(minutes=30 + number % 300))


def ahead(wedding_id: str, number: int) -> Wedding:
    """Return a wedding of one of the next weeks."""
    return made(wedding_id, number, clock.now() + timedelta(days=2, minutes=number * 7 % 60_000))


@contextmanager
def built() -> Iterator[World]:
    """Yield an empty world with a history of two days, for the length of the block."""
    ports = {name: str(servers.free_port()) for name in ("API_PORT", "FLOWER_PORT")}
    environment = ports | {
        "METRICS_INGEST_TOKENS": f"{PUSHER}:{SECRET}",
        "FLOWER_BASIC_AUTH": f"operator:{SECRET}",
        "BALANCING_PROBE": "off",
    }
    with systems.started("saturday", broker={"maxmemory": "6gb"}, **environment) as here:
        os.environ["FLOWER_DB"] = str(here.home / "flower.db")
        _remember_days()
        yield World(here.home, here.servers, here.target, f"http://127.0.0.1:{ports['API_PORT']}")


def _remember_days() -> None:
    from workers.foundation import database
    from workers.snapshots import store as snapshots
    from workers.snapshots.rules import Snapshot

    minutes, now = 2 * 1440, clock.now()
    waves = 1_000 + 800 * np.sin(2 * np.pi * np.arange(minutes) / 1440)
    rows = [
        Snapshot(region, Moment(now - timedelta(minutes=minutes - at)), int(count))
        for region in REGIONS
        for at, count in enumerate(waves.tolist())
    ]
    with database.transaction() as db:
        snapshots.append(db, rows)


@contextmanager
def supervised(world: World) -> Iterator["subprocess.Popen[bytes]"]:
    """Run every process of the Procfile, and wait until all is ready."""
    with systems.supervised(world.home) as process:
        form.wait_for(lambda: _is_ready(world), within=120, every=0.2)
        yield process


def _is_ready(world: World) -> bool:
    import httpx2

    from workers.foundation import jobs, queues

    try:
        answered = httpx2.get(f"{world.api}/healthz", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False
    waits = {one.name: one.oldest for one in queues.lengths_and_ages()}
    return answered and bool(jobs.beats(clock.epoch())) and max(waits.values()) < 5
