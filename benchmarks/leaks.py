"""Whether memory stays flat: 100,000 tasks through a worker, 100,000 connections through a gateway.

Each process is measured (resident set, MB) when a tenth is done and at the end, with the registry's memory.
"""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import sleep
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from benchmarks import form
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.connections.store import registry
from workers.foundation import logs, redis
from workers.processes import servers

TASKS, CONNECTIONS, AT_ONCE = 100_000, 100_000, 40


def main() -> None:
    """Print the figures."""
    found = form.parser(1)
    found.add_argument("--share", type=float, default=1.0, help="of the 100,000 each")
    given = found.parse_args()
    logs.configure(40)
    with form.broker(shared=False) as cache, form.broker(), form.database():
        os.environ |= {"WEDOPS_CACHE_URL": cache, "CONNECTIONS_PERMIT_KEYS": "bench:" + "k" * 32}
        redis.load_functions()
        redis.load_cache_functions()
        registry.publish_limits()
        figures = _tasks(int(TASKS * given.share)) | _connections(int(CONNECTIONS * given.share))
    ratios = {
        f"{one}_growth": round(figures[f"{one}_mb_end"] / figures[f"{one}_mb_tenth"], 3)
        for one in ("worker", "gateway")
    }
    report = {"schema": "wedops.bench/1", "name": "leaks", "runs": 1, "figures": figures}
    form.show(report | {"peers": {}, "ratios": ratios}, as_json=given.json)


def _resident(*pids: int) -> float:
    """Return what processes and their children hold, in MB."""
    whole = 0
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            if {int(lines["Pid"]), int(lines["PPid"])} & set(pids) and "VmRSS" in lines:
                whole += int(lines["VmRSS"].split()[0])
    return round(whole / 1000, 1)


def _run(*words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _tasks(many: int) -> form.Figures:
    from benchmarks.probes import nothing

    words = ("-m", "celery", "-A", "benchmarks.probes", "worker", "-Q", "steady", "-c", "2")
    worker, client, marks = _run(*words, "--without-gossip", "--without-mingle"), redis.registry(), []
    try:
        for part in (0.1, 0.9):
            for _ in range(int(many * part)):
                nothing.apply_async()
            form.wait_for(lambda: not client.llen("steady"), within=900)
            sleep(2)
            marks.append(_resident(worker.pid))
    finally:
        worker.terminate()
        worker.wait()
    return {"tasks": many, "worker_mb_tenth": marks[0], "worker_mb_end": marks[1]}


def _connections(many: int) -> form.Figures:
    port = servers.free_port()
    os.environ |= {"GATEWAY_PORT": str(port), "GATEWAY_REGIONS": "us-west"}
    gateway, marks = _run("-m", "demo.gateway"), []
    at = f"ws://127.0.0.1:{port}/socket/websocket"
    try:
        sleep(4)
        for part in (0.1, 0.9):
            asyncio.run(_crowd(at, int(many * part)))
            sleep(5)
            memory = redis.registry().info("memory")["used_memory"] / 1e6
            marks.append((_resident(gateway.pid), memory))
        left = registry.total()
    finally:
        gateway.terminate()
        gateway.wait()
    (tenth, kept_tenth), (end, kept) = marks
    return {
        "connections": many,
        "connections_left": left,
        "gateway_mb_tenth": tenth,
        "gateway_mb_end": end,
        "registry_mb_tenth": round(kept_tenth, 1),
        "registry_mb_end": round(kept, 1),
    }


async def _crowd(at: str, many: int) -> None:
    """Have people come and go, some at once."""
    numbers = iter(range(many))

    async def _come_and_go() -> None:
        for number in numbers:
            token = permits.issue(Permit(f"u{number}", "guest", f"w-{number % 500}"))
            asked = urlencode({"apikey": token, "region": "us-west", "vsn": "1.0.0"})
            with suppress(OSError, WebSocketException, TimeoutError):
                async with connect(f"{at}?{asked}", ping_interval=None, compression=None):
                    pass

    await asyncio.gather(*(_come_and_go() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    main()
