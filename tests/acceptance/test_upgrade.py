"""From the version before.

All that it wrote is read, what it accepted is done, and its worker drains while we migrate.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from tests import ROOT
from tests.conftest import QUICK
from tests.made import eventually
from workers.foundation import queues
from workers.processes import servers

#: The last commit before rooms, tasks, settings, tables and registry records got their names of now.
BEFORE = "65cc2a1"
#: What the version before had: a season in each table and key, by its own code.
_FILL = """
from datetime import timedelta
from tests.made import connection, scaled, wedding
from workers.connections import store as connections
from workers.foundation import clock, database
from workers.weddings import store as weddings

soon = clock.now() + timedelta(hours=2)
with database.transaction() as db:
    for number in range(40):
        region = ("us-northeast", "us-west")[number % 2]
        weddings.upsert(db, [wedding(f"w-{number}", starts_at=soon, region=region)], at=clock.now())
    scaled(db, at=clock.now())
connections.tell_limits()
for number in range(300):
    opened = connections.open(connection(f"c{number}", user_id=f"u{number}", wedding_id=f"w-{number % 40}"))
    assert opened.ok, opened
"""
_ASK = """
from workers import client
for number in range(20):
    client.warm_up(f"w-{number}", request_key=f"before-{number}")
"""
#: Every command that has --json, as the tests of commands ask it.
_EVERY = """
from click.testing import CliRunner
from tests.integration.cli.test_every_command import ARGUMENTS, JSON, _is_said
from workers.cli.main import wedops
for path, _ in JSON:
    done = CliRunner().invoke(wedops, [*path.split(), *ARGUMENTS.get(path, ()), "--json"])
    assert _is_said(done) and "Traceback" not in done.output, (path, done.output, done.exception)
"""


@dataclass(frozen=True)
class Installed:
    """A version of ours in a folder, on the servers that both share."""

    folder: Path
    main: str
    log: Path
    environment: dict[str, str]

    def python(self, code: str, *words: str, most: float = 120) -> str:
        """Run code of this version; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False, timeout=most,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def wedops(self, *words: str) -> str:
        """Run a command of this version."""
        return self.python(f"from {self.main} import main; main()", *words)

    @contextmanager
    def running(self, app: str, *words: str) -> Iterator[None]:
        """Run a process of this version for the length of the block, and end it in good order."""
        with self.log.open("ab") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "--quiet", "-A", app, *words],
                env=self.environment, cwd=self.folder, stdout=sink, stderr=sink,
            )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


WORKER = ("workers.app", "worker", "-n", "all@%h", "-c", "2", "-Q")
#: The queues of each version.
QUEUES_BEFORE, QUEUES = "emergency,steady,bulk", ",".join(queues.NAMES)
BEAT = ("schedules.beat", "beat")


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="wedops-upgrade-"))
    folder.chmod(0o711)
    started = []
    try:
        started.append(servers.start_valkey(folder, "broker", servers.BROKER))
        started.append(servers.start_valkey(folder, "cache", servers.CACHE))
        started.append(servers.start_postgres(folder, options=QUICK))
        names = ("WEDOPS_BROKER_URL", "WEDOPS_CACHE_URL", "WEDOPS_DATABASE_URL")
        (folder / "urls").write_text(json.dumps(dict(zip(names, (one.url for one in started), strict=True))))
        yield folder
    finally:
        for server in reversed(started):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _versions(home: Path) -> tuple[Installed, Installed]:
    """Return the version before, unpacked from our history, and this one."""
    made = subprocess.run(
        ["/usr/bin/env", "git", "-C", str(ROOT), "archive", BEFORE], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"{BEFORE} is not in this clone: fetch the whole history")
    folder = home / "before"
    with tarfile.open(fileobj=BytesIO(made.stdout)) as packed:
        packed.extractall(folder, filter="data")
    _as_installed(folder)
    environment = os.environ | json.loads((home / "urls").read_text()) | {"PYTHONPATH": "."}
    log = home / "log"
    return Installed(folder, "workers.cli", log, environment), Installed(
        ROOT, "workers.cli.main", log, environment
    )


def _as_installed(folder: Path) -> None:
    """Have its plug-ins found as those of an installed package.

    Its folder comes before the one of this version.
    """
    facts = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    found = folder / f"wedops-{facts['version']}.dist-info"
    found.mkdir()
    (found / "METADATA").write_text(f"Metadata-Version: 2.1\nName: wedops\nVersion: {facts['version']}\n")
    lines = []
    for group, names in facts["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in names.items())]
    (found / "entry_points.txt").write_text("\n".join(lines))


def test_what_the_version_before_had_is_there_after_the_upgrade(home: Path) -> None:
    before, now = _versions(home)
    url = before.environment["WEDOPS_DATABASE_URL"]
    before.wedops("migrate")
    before.python(_FILL)
    before.wedops("suppliers", "limit", "s1", "300")
    before.wedops("scaling", "live", "us-west", "--reason", "well known")
    before.wedops("alerts", "silence", "--kind", "cpu", "--for", "2h", "--reason", "known")
    with before.running(*WORKER, QUEUES_BEFORE):
        before.wedops("ask", "emergency", "venue", "w-1", "--key", "flood")
        for job, table in _JOBS.items():
            before.wedops("run", job)
            assert eventually(lambda table=table: _count(url, table), within=60), job
    held = {table: _count(url, table) for table in _KEPT}
    people = [_connections(before, number) for number in (7, 8)]
    before.python(_ASK)
    with before.running(*WORKER, QUEUES_BEFORE):
        now.wedops("migrate")
        assert [_connections(now, number) for number in (7, 8)] == people
        assert all(people)
        now.wedops("ask", "warm-up", "w-30", "--key", "meanwhile")
    with before.running(*BEAT), before.running(*WORKER, QUEUES_BEFORE):
        # A warm-up that is asked by this version waits for a worker of its queue.
        drained = eventually(lambda: _settled(url, but="meanwhile"), within=120)
        assert drained, "its worker drains what it was asked"
    before.wedops("run", "requests.redeliver")
    now.wedops("ask", "warm-up", "w-31", "--key", "after")
    with now.running(*BEAT), now.running(*WORKER, QUEUES):
        assert eventually(lambda: _settled(url), within=120)
    now.python(_EVERY, most=300)
    for table, rows in held.items():
        assert _count(url, table) >= rows > 0, table
    assert _count(url, "requests", "state = 'done' AND key ~ '^(before-|flood|meanwhile|after)'") == 23


#: Jobs of the version before, and a table that each writes.
_JOBS = {
    "connections.snapshot": "connection_metrics",
    "forecasting.refresh": "scaling_prediction_sets",
    "seasons.detect": "season_changes",
    "scaling.decide": "scaling_actions",
}
_KEPT = (
    "weddings",
    "requests",
    "emergencies",
    "alert_silences",
    "supplier_limits",
    "scaling_orders",
    *_JOBS.values(),
)


def _count(url: str, table: str, where: LiteralString = "true") -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(sql.Identifier(table), sql.SQL(where))
    with psycopg.connect(url) as db:
        [(number,)] = db.execute(query).fetchall()
    return int(number)


def _settled(url: str, but: str = "") -> bool:
    with psycopg.connect(url) as db:
        waiting = db.execute("SELECT key FROM requests WHERE state = 'accepted' AND key <> %s", (but,))
        return not waiting.fetchall()


def _connections(version: Installed, number: int) -> list[str]:
    """Return the ids of a person's connections, as a version reads them."""
    found = json.loads(version.wedops("person", f"w-{number}", f"u{number}", "--json"))
    return sorted(one["id"] for one in found["connections"])
