"""A whole system for a benchmark: servers of its own, a target that hears, our processes, supervised."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx2

from benchmarks.target import Target, target
from workers.processes import servers

ROOT = Path(__file__).parent.parent
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass
class System:
    """Its folder, its servers by name, and who hears its notifications."""

    home: Path
    servers: dict[str, servers.Server]
    target: Target

    def stop(self) -> None:
        """End the servers that there are by now: a benchmark may have replaced one."""
        for server in self.servers.values():
            server.stop()


@contextmanager
def started(name: str, *, broker: Mapping[str, str] = NOTHING, **environment: str) -> Iterator[System]:
    """Yield servers with our schema and functions, which this process and its children use."""
    home = Path(tempfile.mkdtemp(prefix=f"wedops-{name}-"))
    home.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        heard = stack.enter_context(target())
        found = System(home, {}, heard)
        stack.callback(found.stop)
        found.servers["broker"] = servers.start_valkey(home, "broker", servers.BROKER | dict(broker))
        found.servers["cache"] = servers.start_valkey(home, "cache", servers.CACHE)
        found.servers["postgres"] = servers.start_postgres(home)
        (home / "prometheus").mkdir()
        os.environ |= environment | {
            "WEDOPS_BROKER_URL": found.servers["broker"].url,
            "WEDOPS_CACHE_URL": found.servers["cache"].url,
            "WEDOPS_DATABASE_URL": found.servers["postgres"].url,
            "PROMETHEUS_MULTIPROC_DIR": str(home / "prometheus"),
            "NOTIFY_TARGETS": heard.url,
            "CONNECTIONS_PERMIT_KEYS": f"{name}:{'x' * 40}",
        }
        _prepare()
        yield found


def _prepare() -> None:
    from workers.app import app
    from workers.connections.store import registry
    from workers.foundation import redis, schema

    app.conf.broker_url = os.environ["WEDOPS_BROKER_URL"]
    app.loader.import_default_modules()
    schema.upgrade()
    redis.load_functions()
    registry.publish_limits()


def listens(port: str) -> bool:
    """Tell whether something answers at a port, whatever it says."""
    try:
        httpx2.get(f"http://127.0.0.1:{port}/", timeout=2)
    except httpx2.HTTPError as error:
        return not isinstance(error, httpx2.ConnectError)
    return True


@contextmanager
def supervised(home: Path, only: Sequence[str] = ()) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the processes of the Procfile, or only some, for the length of the block."""
    command = ["-c", "from workers.cli.main import main; main()", "supervise", str(ROOT / "Procfile")]
    some = [word for name in only for word in ("--only", name)]
    process = subprocess.Popen(
        [sys.executable, *command, "--folder", str(home), *some],
        cwd=ROOT,
        preexec_fn=servers.die_with_parent(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
