"""Fail-over: people with the official client on three gateways, one of which is killed.

They ask where to go and connect again. `back_s` is how long after the kill the last of its people is
connected again, `median_s` the one in the middle; `together` the share of its people who are then where most
of their wedding is. Peer: `random_node`, whose people know all nodes and go to any other one.
"""

import asyncio
import os
import random
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from statistics import median

import httpx2 as httpx
from realtime import AsyncRealtimeClient

from benchmarks import form
from workers.balancing.rules import PlacementRequest, Policy, place
from workers.connections.formats import permits
from workers.foundation import clock
from workers.processes import servers

PEOPLE, WEDDINGS, NODES, REGION = 240, 12, ("node-a", "node-b", "node-c"), "us-lost"


def main() -> None:
    """Print the figures."""
    os.environ[permits.VARIABLE] = f"bench:{secrets.token_hex(24)}"
    with form.broker(), ExitStack() as stack:
        port = servers.free_port()
        stack.enter_context(
            _running("-m", "uvicorn", "workers.http.routes:api", "--port", str(port), "--log-level", "error")
        )
        bench = _Bench(f"http://127.0.0.1:{port}/v1/route")
        form.main("gateway_failover", {"ours": bench.ours, "random_node": bench.random_node}, _ratios, runs=5)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    return {
        "together_over_random": medians["ours"]["together"] / max(0.001, medians["random_node"]["together"])
    }


@contextmanager
def _running(*words: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, *words],
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


class _Person:
    """Stays connected, wherever that is."""

    def __init__(self, number: int, bench: "_Bench") -> None:
        self.wedding, self.bench, self.node, self.since = f"lost-{number % WEDDINGS}", bench, "", 0.0
        self.permit = permits.issue(permits.Permit(f"r{number}", "guest", self.wedding))

    async def stay(self) -> None:
        while True:
            avoid, self.node = self.node, ""
            node, url = await self.bench.choose(self, avoid)
            client = AsyncRealtimeClient(
                url, self.permit, params={"region": REGION}, auto_reconnect=False, max_retries=1
            )
            try:
                await client.connect()
                self.node, self.since = node, clock.stopwatch()
                while client.is_connected:
                    await asyncio.sleep(0.05)
            except Exception:
                self.node = node
                await asyncio.sleep(0.1)


class _Bench:
    def __init__(self, route: str) -> None:
        self.route, self.urls, self.http = route, dict[str, str](), httpx.AsyncClient()
        self.choose: Callable[[_Person, str], Awaitable[tuple[str, str]]] = self._routed

    def ours(self) -> form.Figures:
        self.choose = self._routed
        return self._measure()

    def random_node(self) -> form.Figures:
        self.choose = self._random
        return self._measure()

    async def _routed(self, person: _Person, avoid: str) -> tuple[str, str]:
        words = {"region": REGION, "avoid": avoid}
        while True:
            with suppress(httpx.HTTPError):
                answer = await self.http.get(
                    self.route, params=words, headers={"Authorization": f"Bearer {person.permit}"}
                )
                if answer.status_code == 200:
                    to = answer.json()
                    await asyncio.sleep(to["wait_ms"] / 1000)
                    return to["node"], to["url"]
            await asyncio.sleep(0.2)

    async def _random(self, _person: _Person, avoid: str) -> tuple[str, str]:
        await asyncio.sleep(0)
        node = random.choice([name for name in NODES if name != avoid])
        return node, self.urls[node]

    def _measure(self) -> form.Figures:
        form.emptied()
        with ExitStack() as stack:
            gateways = {}
            for name in NODES:
                port = str(servers.free_port())
                self.urls[name] = f"ws://127.0.0.1:{port}/socket"
                gateways[name] = stack.enter_context(
                    _running(
                        "-m", "demo.gateway", GATEWAY_PORT=port, GATEWAY_NODE=name, GATEWAY_REGIONS=REGION
                    )
                )
            return asyncio.run(self._fail_over(gateways))

    async def _fail_over(self, gateways: dict[str, "subprocess.Popen[bytes]"]) -> form.Figures:
        from workers.balancing import store

        self.http = httpx.AsyncClient()
        await _until(lambda: len(store.nodes()) == len(NODES))
        # As the schedule would have placed them, hours before.
        requests = [
            PlacementRequest(f"lost-{number}", PEOPLE // WEDDINGS, REGION) for number in range(WEDDINGS)
        ]
        store.publish_placements(place(requests, store.nodes(), Policy(comfort=0), kept={}), {})
        people = [_Person(number, self) for number in range(PEOPLE)]
        tasks = [asyncio.create_task(person.stay()) for person in people]
        await _until(lambda: all(person.node for person in people))
        lost = Counter(person.node for person in people).most_common(1)[0][0]
        theirs = [person for person in people if person.node == lost]
        killed = clock.stopwatch()
        gateways[lost].kill()
        await _until(lambda: all(person.node not in ("", lost) for person in people))
        back = [person.since - killed for person in theirs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        seats = {
            wedding: Counter(one.node for one in people if one.wedding == wedding)
            for wedding in {p.wedding for p in theirs}
        }
        together = sum(person.node == seats[person.wedding].most_common(1)[0][0] for person in theirs) / len(
            theirs
        )
        return {"people": len(theirs), "back_s": max(back), "median_s": median(back), "together": together}


async def _until(condition: Callable[[], bool]) -> None:
    until = clock.stopwatch() + 60
    while not condition():
        if clock.stopwatch() > until:
            raise TimeoutError("not within 60 s")
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    main()
