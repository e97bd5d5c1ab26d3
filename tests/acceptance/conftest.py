"""The whole system as it runs: every process of the Procfile and the demo's gateway, under the supervisor."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests import ROOT
from tests.conftest import LOGINS, PORTS
from tests.made import empty_servers, eventually, wedding
from workers.access.usecases import grants
from workers.foundation import clock, database
from workers.processes import servers
from workers.weddings.formats.rows import Reading
from workers.weddings.rules.calendar import VenueType
from workers.weddings.usecases import importing as usecases

#: People of this size of crowd need more than the two instances a region starts with.
SETTINGS = {
    "SCALING_CONNECTIONS_PER_INSTANCE": "10",
    "SCALING_WORKER_PROCESSES_MAX": "2",
    # Whatever the month is in which the tests run.
    "SEASONS_PEAK_FROM": "99",
    "ALERTS_PENDING_FOR": "0s",
    "ALERTS_RESOLVE_AFTER": "12s",
    "ALERTS_GROUP_WAIT": "0s",
    # What is slow is critical, so that it is answered as on a wedding day.
    "ALERTS_HIGH_MS": "2000",
    "ALERTS_CRITICAL_MS": "2000",
    "DEGRADATION_EFFECT_WITHIN_WEDDING": "10s",
    "DEGRADATION_CALM_FOR": "8s",
    "ALERTS_GROUP_INTERVAL": "1s",
    "GATEWAY_BEAT_MOST": "1",
    # Its connections would be counted among the people.
    "BALANCING_PROBE": "off",
}

BROADCAST_SECRET = "of-the-broadcast-api-and-long-enough-for-it"


@dataclass(frozen=True)
class System:
    """A running system: its folder of logs, and where the gateway listens."""

    folder: Path
    gateway: str

    def pid(self, *words: str) -> int:
        """Return the process id of the oldest process of ours whose command line has all `words`.

        0 when none has.
        """
        return min(self.pids(*words), default=0)

    def pids(self, *words: str) -> list[int]:
        """Return the process ids of our processes whose command lines have all `words`."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                command = (path / "cmdline").read_text().replace("\0", " ")
                ours = f"127.0.0.1:{PORTS['broker']}/0" in (path / "environ").read_text()
            except OSError:
                continue
            if ours and all(word in command for word in words) and "wedops supervise" not in command:
                found.append(int(path.name))
        return found

    def log(self, name: str) -> str:
        """Return a process's log."""
        return (self.folder / "log" / f"{name}.log").read_text(errors="replace")


@contextmanager
def running(*words: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command of ours for the length of the block."""
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=os.environ | environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextmanager
def person(words: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """Run a person with an official client for the length of the block; what it says can be read."""
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def said(process: "subprocess.Popen[str]") -> str:
    """Return the next line that a person says."""
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.fixture(scope="module")
def system(real_servers: list[servers.Server]) -> Iterator[System]:
    """Yield the system, with one wedding of 120 guests that starts in two hours."""
    folder = Path(tempfile.mkdtemp(prefix="wedops-system-"))
    ports = {name: str(servers.free_port()) for name in ("FLOWER_PORT", "API_PORT", "GATEWAY_PORT")}
    broadcasts = servers.free_port()
    environment = SETTINGS | ports | {
        "ALERTS_BROADCAST_URL": f"http://127.0.0.1:{broadcasts}/api/broadcast",
        "ALERTS_BROADCAST_JWT_SECRET": BROADCAST_SECRET,
        "FLOWER_BASIC_AUTH": "operator:test",
        "FLOWER_DB": str(folder / "flower.db"),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "prometheus"),
        "COMMANDS_KEYS": "wedops:the-secret-of-our-own-messages-here",
        # Each process is its role.
        **{f"ROLES_{role.upper()}": secret for role, secret in vars(LOGINS).items() if secret},
    }  # fmt: skip
    (folder / "prometheus").mkdir()
    procfile = folder / "Procfile"
    gateway = f"gateway: env GATEWAY_API_PORT={broadcasts} GATEWAY_API_JWT_SECRET={BROADCAST_SECRET} "
    demo = (ROOT / "demo/Procfile").read_text().replace("people:", "# people:")
    demo = demo.replace("days:", "# days:").replace("gateway: ", gateway)
    procfile.write_text((ROOT / "Procfile").read_text() + demo)
    _begin_anew()
    grants.apply(LOGINS)
    os.environ.update(environment)
    supervise = ("-m", "tests.acceptance.wedops", "supervise", str(procfile), "--folder", str(folder))
    try:
        with running(*supervise):
            found = System(folder, f"ws://127.0.0.1:{ports['GATEWAY_PORT']}/socket")
            beat = folder / "log" / "beat.log"
            assert eventually(lambda: beat.exists() and "beat: Starting" in beat.read_text(), within=90), (
                list(folder.rglob("*"))
            )
            yield found
        assert eventually(lambda: not found.pids("celery"))
    finally:
        for name in environment:
            os.environ.pop(name, None)
        shutil.rmtree(folder, ignore_errors=True)


def _begin_anew() -> None:
    empty_servers()
    soon = clock.now() + timedelta(hours=1, minutes=59)
    usecases.take(
        Reading(
            [wedding("w-1", starts_at=soon, guest_count=120, hours=6, venue_type=VenueType.BANQUET_HALL)]
        ),
        now=clock.now(),
    )


Query = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def rows() -> Query:
    """Return what asks PostgreSQL."""

    def _rows(query: str) -> list[tuple[object, ...]]:
        with database.transaction() as db:
            return [tuple(row) for row in db.execute(text(query))]

    return _rows
