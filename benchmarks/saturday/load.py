"""What a Saturday sends: nodes' reports, connections' measurements, points over HTTP."""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import httpx2
import numpy as np
import orjson

from benchmarks.saturday.world import SECRET, World
from workers.foundation import clock
from workers.weddings.rules.calendar import Wedding

#: In seconds: each connection is measured, and each series has a point, once in so long.
MEASURED, POINTS = 30, 15
SERIES = ("realtime_update_seconds", "photo_upload_seconds", "guest_list_seconds")
CHANCE = np.random.default_rng(7)
HEAD = {"Authorization": f"Bearer {SECRET}", "Content-Encoding": "gzip"}


class Load:
    """Sends it, a part each second; `silent` are nodes that report no more."""

    def __init__(self, world: World, points: int) -> None:
        self.world, self.silent = world, set[str]()
        #: How many seconds took longer than one: then this machine can't send so much.
        self.late = 0
        self._ended = Event()
        weddings = world.weddings[: points * POINTS // len(SERIES)]
        parts = [weddings[place::POINTS] for place in range(POINTS)]
        # No two of a series are alike for two minutes.
        self._bodies = [body(part, 0.05) for _ in range(120 // POINTS) for part in parts]
        self._http = httpx2.Client(base_url=world.api, timeout=10)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send for the length of the block."""
        thread = Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join(30)

    def push(self, content: bytes) -> None:
        """Push points; raises when they are refused."""
        self._http.post("/v1/metrics", content=content, headers=HEAD).raise_for_status()

    def _run(self) -> None:
        second = 0
        while not self._ended.is_set():
            begun = clock.stopwatch()
            report(self.world, self.silent)
            measure(self.world, second % MEASURED, self.silent)
            try:
                self.push(self._bodies[second % len(self._bodies)])
            except httpx2.HTTPError:
                self.late += 1
            left = begun + 1 - clock.stopwatch()
            self.late += left < 0
            second += 1
            self._ended.wait(max(0.0, left))


def body(weddings: Sequence[Wedding], value: float, names: Sequence[str] = SERIES, times: int = 1) -> bytes:
    """Return a push of so many samples of some series of each wedding, within a half of a value."""
    at = clock.epoch()
    places = [(name, one) for one in weddings for name in names]
    values = CHANCE.uniform(0.5 * value, 1.5 * value, len(places)).round(6).tolist()
    samples: list[dict[str, Any]] = [
        {"name": name, "value": measured, "labels": {"region": one.region, "wedding_id": one.id}}
        for (name, one), measured in zip(places, values, strict=True)
    ]
    if times > 1:
        samples = [one | {"at": at - number} for one in samples for number in range(times)]
    return gzip.compress(orjson.dumps({"samples": samples}), 1)


def report(world: World, silent: set[str]) -> None:
    """Have each node report, but the silent ones."""
    from workers.balancing import store

    for name, region in world.nodes.items():
        if name not in silent:
            held = len(world.refs.get(name, ()))
            store.report(store.Report(name, region, f"ws://{name}", 20_000, held, 0.3, 0.3))


def measure(world: World, part: int, silent: set[str], parts: int = MEASURED) -> None:
    """Have a part of the connections measured."""
    from workers.connections.store import registry

    found = [
        registry.Measurement(ref, 40.0, 3, 0, 600)
        for name, refs in world.refs.items()
        if name not in silent
        for ref in refs[part::parts]
    ]
    registry.measure(found)
