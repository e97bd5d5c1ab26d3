"""A reconnect storm: a gateway dies, and all of its people come back at once, with the cache and without.

    python -m benchmarks.cache_storm [--json] [--people N]

People are official clients (`realtime`, Supabase's for Python) of fifty weddings. `join_p95_ms` is from a
person's first try to come back until they have joined again, `out` are those who have not within a minute;
`postgres_reads` are scans of the calendar's table while all of them do, `subscription_hits` which share of
the reads of what they may join was answered from the cache. Without the cache a gateway asks the
API for each, and the API PostgreSQL.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from statistics import median, quantiles
from time import sleep
from typing import Any

from realtime import AsyncRealtimeClient
from sqlalchemy import text

from benchmarks import form, system
from workers.caching.rules.kinds import Kind
from workers.caching.store import server
from workers.caching.usecases import changing
from workers.connections.formats import permits
from workers.foundation import clock, database, redis
from workers.foundation.moments import Moment
from workers.processes import servers
from workers.weddings.rules.calendar import Status, VenueType, Wedding
from workers.weddings.store import weddings

WEDDINGS, SUPPLIERS = 50, 8
#: Before the storm people come so many at once.
AT_ONCE = 50
#: In seconds: between two tries of somebody whose gateway is not back yet.
AGAIN = 0.2
#: In seconds: who has not joined by then is counted as out.
PATIENCE = 60.0
_READS = text(
    "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'weddings'"
)


def main() -> None:
    """Measure both, and print one report."""
    parser = form.parser(1)
    parser.add_argument("--people", type=int, default=1_000)
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {"ours": [], "without_cache": []}
    with system.started("storm", CONNECTIONS_ADDRESS_BURST="100000", CONNECTIONS_POOL_LIMIT="1000"):
        os.environ["GATEWAY_PORT"], os.environ["API_PORT"] = (str(servers.free_port()) for _ in range(2))
        _book()
        for _ in range(options.runs):
            for name, bypass in (("ours", "off"), ("without_cache", "on")):
                print(f"cache_storm: {name}", file=sys.stderr)
                redis.cache_server().flushall()
                redis.load_cache_functions()
                changing.forget_changed()
                with _processes({"CACHING_BYPASS": bypass, "GATEWAY_CACHE_BYPASS": bypass}) as started:
                    found[name].append(asyncio.run(_storm(started, options.people)))
    ours, without = (_medians(found[name]) for name in ("ours", "without_cache"))
    report = {
        "schema": "wedops.bench/1",
        "name": "cache_storm",
        "runs": options.runs,
        "figures": ours,
        "peers": {"without_cache": without},
        "ratios": {name: round(without[name] / max(1.0, ours[name]), 2) for name in ours},
    }
    form.show(report, as_json=options.json)


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(median(row[name] for row in rows), 4) for name in rows[0]}


Processes = dict[str, "subprocess.Popen[bytes]"]
_API = (
    "uvicorn",
    "workers.http.routes:api",
    "--host",
    "127.0.0.1",
    "--no-access-log",
    "--log-level",
    "error",
)


def _start(name: str, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    words = ["demo.gateway"] if name == "gateway" else [*_API, "--port", os.environ["API_PORT"]]
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=system.ROOT,
        env=os.environ | {"GATEWAY_CAPACITY": "2000", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=servers.die_with_parent(),
    )


@contextmanager
def _processes(environment: Mapping[str, str]) -> Iterator[Processes]:
    """Run the API and a gateway for the length of the block."""
    started = {name: _start(name, environment) for name in ("api", "gateway")}
    os.environ |= environment
    form.wait_for(lambda: all(map(_listens, ("API_PORT", "GATEWAY_PORT"))), within=60, every=0.1)
    try:
        yield started
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def _listens(variable: str) -> bool:
    return system.listens(os.environ[variable])


def _book() -> None:
    """Have weddings that run now."""
    now = clock.now()
    at = Moment(now - timedelta(hours=1)), Moment(now + timedelta(hours=5))
    local = [one.replace(tzinfo=None) for one in at]
    suppliers = tuple(f"s{number}" for number in range(SUPPLIERS))
    facts: Any = (*local, "UTC", *at, 100, VenueType.GARDEN, "us-northeast", Status.CONFIRMED, suppliers)
    calendar = [Wedding(f"w-{number}", *facts) for number in range(WEDDINGS)]
    with database.transaction() as db:
        weddings.upsert(db, calendar, at=now)


async def _storm(started: Processes, people: int) -> dict[str, float]:
    """Bring people in, kill their gateway, and have all of them come back at once."""
    first: list[tuple[AsyncRealtimeClient, float]] = []
    for number in range(0, people, AT_ONCE):
        first += await asyncio.gather(*(_join(one) for one in range(number, min(people, number + AT_ONCE))))
    await asyncio.sleep(2)
    started["gateway"].kill()
    started["gateway"].wait()
    started["gateway"] = _start("gateway", {})
    form.wait_for(lambda: _listens("GATEWAY_PORT"), within=60, every=0.05)
    before, hits = await asyncio.to_thread(_reads), _subscriptions()
    again = await asyncio.gather(*(_join(number) for number in range(people)))
    after = await asyncio.to_thread(_reads)
    for client, _ in (*first, *again):
        await client.close()
    times = sorted(seconds for _, seconds in again)
    return {
        "people": float(len(times)),
        "out": float(sum(seconds >= PATIENCE for seconds in times)),
        "join_p50_ms": 1000 * median(times),
        "join_p95_ms": 1000 * quantiles(times, n=20)[-1],
        "postgres_reads": float(after - before),
        "subscription_hits": _share(hits, _subscriptions()),
    }


def _subscriptions() -> tuple[int, int]:
    """Return how often what people may join was read so far, and how often it had to be loaded."""
    own = {layer: many for (layer, kind), many in server.totals().items() if kind == Kind.SUBSCRIPTION}
    return sum(own.values()), own.get("none", 0)


def _share(before: tuple[int, int], after: tuple[int, int]) -> float:
    reads, loaded = (now - then for now, then in zip(after, before, strict=True))
    return round(1 - loaded / reads, 4) if reads else 0.0


def _reads() -> int:
    # What a backend counted is told once it is idle for a second.
    sleep(2)
    with database.transaction() as db:
        return int(db.execute(_READS).scalar_one())


async def _join(number: int) -> tuple[AsyncRealtimeClient, float]:
    """Have somebody join their wedding; return their client, and how many seconds that took."""
    wedding, vendor = f"w-{number % WEDDINGS}", number % 3 == 0
    supplier = f"s{number % SUPPLIERS}" if vendor else None
    permit = permits.issue(permits.Permit(f"u{number}", "vendor" if vendor else "guest", wedding, supplier))
    url, begun = f"ws://127.0.0.1:{os.environ['GATEWAY_PORT']}/socket", clock.stopwatch()
    client = AsyncRealtimeClient(url, permit, auto_reconnect=False, max_retries=1)
    while clock.stopwatch() - begun < PATIENCE:
        joined = asyncio.Event()
        try:
            await client.connect()
            await client.channel(f"wedding:{wedding}").subscribe(lambda *_state, one=joined: one.set())
            await asyncio.wait_for(joined.wait(), PATIENCE / 2)
        except Exception:
            # Who is refused or cut off comes again.
            await asyncio.sleep(AGAIN)
            client = AsyncRealtimeClient(url, permit, auto_reconnect=False, max_retries=1)
            continue
        return client, clock.stopwatch() - begun
    return client, PATIENCE


if __name__ == "__main__":
    main()
