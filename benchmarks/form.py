"""The form of every benchmark.

Figures and peers measured in turns in one run, medians over runs, one JSON object.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any

from workers.foundation import clock, logs
from workers.processes import servers
from workers.processes.authority import Authority

Figures = dict[str, float]
#: Measures one contestant once.
Measure = Callable[[], Figures]


def main(
    name: str,
    contestants: dict[str, Measure],
    ratios: Callable[[dict[str, Figures]], Figures],
    *,
    runs: int,
    options: argparse.Namespace | None = None,
) -> None:
    """Measure every contestant in turns, `ours` and its peers, and print medians."""
    given = options or parser(runs).parse_args()
    logs.configure(logging.ERROR)
    found: dict[str, list[Figures]] = {contestant: [] for contestant in contestants}
    for run in range(given.runs):
        for contestant, measure in contestants.items():
            print(f"{name}: run {run + 1} of {given.runs}, {contestant}", file=sys.stderr)
            found[contestant].append(measure())
    medians = {contestant: _medians(figures) for contestant, figures in found.items()}
    report = {
        "schema": "wedops.bench/1",
        "name": name,
        "runs": given.runs,
        "figures": medians["ours"],
        "peers": {contestant: figures for contestant, figures in medians.items() if contestant != "ours"},
        "ratios": {ratio: round(value, 4) for ratio, value in ratios(medians).items()},
    }
    show(report, as_json=given.json)


def show(report: dict[str, Any], *, as_json: bool) -> None:
    """Print a report: `figures`, those of `peers`, their `ratios`, and a benchmark's own `details`."""
    if as_json:
        print(json.dumps(report))
    else:
        _table(report)


def parser(runs: int) -> argparse.ArgumentParser:
    """Return the options that every benchmark has."""
    found = argparse.ArgumentParser()
    found.add_argument("--json", action="store_true", help="print one JSON object")
    found.add_argument("--runs", type=int, default=runs)
    return found


def _medians(figures: list[Figures]) -> Figures:
    return {name: round(median(one[name] for one in figures), 3) for name in figures[0]}


def _table(report: dict[str, Any]) -> None:
    print(f"{report['name']}, medians of {report['runs']} runs")
    for contestant, values in {
        "ours": report["figures"],
        **report["peers"],
        "ratios": report["ratios"],
    }.items():
        texts = (f"{name} {value:g}" for name, value in values.items() if isinstance(value, int | float))
        print(f"  {contestant:<22}" + "  ".join(texts))


@contextmanager
def broker(options: dict[str, str] | None = None, *, shared: bool = True, tls: bool = False) -> Iterator[str]:
    """Yield the address of a Valkey of our own, with our settings and functions, for the length of the block.

    One that is not `shared` is a peer's: nothing of ours is to find it.
    """
    home = Path(tempfile.mkdtemp(prefix="wedops-bench-"))
    own = Authority(home / "tls") if tls else None
    server = servers.start_valkey(home, "broker", servers.BROKER | (options or {}), tls=own)
    if shared:
        os.environ["WEDOPS_BROKER_URL"] = server.url
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(home / "prometheus")
        (home / "prometheus").mkdir()
    try:
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def database(**settings: str) -> Iterator[None]:
    """Have a PostgreSQL of our own with our schema, for the length of the block."""
    from workers.app import app
    from workers.foundation import database as ours
    from workers.foundation import schema

    home = Path(tempfile.mkdtemp(prefix="wedops-bench-"))
    home.chmod(0o711)
    server = servers.start_postgres(home)
    os.environ |= {"WEDOPS_DATABASE_URL": server.url, **settings}
    try:
        app.loader.import_default_modules()
        schema.upgrade()
        yield
    finally:
        ours.engine().dispose()
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def worker(app: str, queue: str, children: int, *words: str) -> Iterator[None]:
    """Run a Celery worker for the length of the block."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        app,
        "worker",
        "-n",
        f"{queue}@%h",
        "-Q",
        queue,
        "-c",
        str(children),
    ]
    process = subprocess.Popen(
        [*command, "--without-gossip", "--without-mingle", "-l", "error", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=servers.die_with_parent(),
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def emptied() -> Any:
    """Return the broker's client, all emptied but for kombu's bindings: a connection declares those once."""
    from workers.connections.store import registry as connections
    from workers.foundation import redis

    client = redis.registry()
    for key in client.scan_iter(count=1000):
        if not key.startswith("_kombu"):
            client.delete(key)
    redis.load_functions()
    connections.publish_limits()
    return client


def wait_for(condition: Callable[[], bool], *, within: float, every: float = 0.005) -> float:
    """Return the moment at which `condition` became true; raises TimeoutError."""
    until = clock.stopwatch() + within
    while not condition():
        if clock.stopwatch() > until:
            raise TimeoutError(f"not within {within} s")
        sleep(every)
    return clock.stopwatch()
