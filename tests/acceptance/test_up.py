"""`wedops up --demo --seconds N --json`.

The whole system for a while, then one JSON object and no process left.
"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import ROOT
from tests.conftest import URLS
from tests.made import eventually
from workers.processes import programs, servers

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(400)]


@pytest.fixture
def home() -> object:
    folder = tempfile.mkdtemp(prefix="wedops-up-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


UP = [sys.executable, "-m", "tests.acceptance.wedops", "up", "--demo"]


def _environment(home: str) -> dict[str, str]:
    ports = {name: str(servers.free_port()) for name in ("FLOWER_PORT", "API_PORT", "GATEWAY_PORT")}
    given = {name: value for name, value in os.environ.items() if name not in URLS}
    return given | ports | {"WEDOPS_STATE": home}


def _up(home: str, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [*UP, "--json", *words]
    return subprocess.run(
        command, cwd=ROOT, env=_environment(home), capture_output=True, text=True, timeout=300, check=False
    )


def _errors(home: str) -> str:
    lines = (
        line for log in Path(home).rglob("*.log") for line in log.read_text(errors="replace").splitlines()
    )
    return "\n".join(line for line in lines if '"error"' in line or "job dropped" in line)


def _left(home: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if home in (path / "cmdline").read_text() + (path / "environ").read_text():
                found.append((path / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_it_plays_reports_and_leaves_nothing_behind(home: str) -> None:
    done = _up(home, "--seconds", "40")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["schema"] == "wedops.up/1"
    for some in ("sweeps", "connections_seen", "forecasts", "scaling_actions", "warm_ups"):
        assert report[some] > 0, (some, report)
    for none in ("tasks_failed", "jobs_late", "restarts"):
        assert report[none] == 0, f"{none}: {done.stderr}{_errors(home)}"
    assert report["seasons"] == dict.fromkeys(("us-northeast", "us-south", "us-west"), "peak")
    assert {"connections_swept", "alerts"} <= report.keys()
    assert set(report["urls"]) == {"flower", "api", "gateway"}
    assert "Exception in ASGI" not in _errors(home)
    assert (Path(home) / "world").read_text().startswith("2026-10-1"), "the command's own clock is the demo's"
    assert _left(home) == []


@pytest.fixture
def home_of_tls(home: str) -> str:
    try:
        programs.valkey(Path(home), tls=True)
        programs.postgres(Path(home), tls=True)
    except programs.TlsMissing as missing:
        pytest.skip(str(missing))
    return home


def test_with_tls_no_part_listens_without_and_people_come_all_the_same(home_of_tls: str) -> None:
    home, given = Path(home_of_tls), _environment(home_of_tls)
    up = subprocess.Popen([*UP, "--tls"], cwd=ROOT, env=given, stdout=subprocess.PIPE, text=True)
    with up as running, ExitStack() as stack:
        # However the test goes, it ends.
        stack.callback(running.terminate)
        assert running.stdout
        lines = [line for line in iter(running.stdout.readline, "Ctrl-C ends all of it.\n") if line]
        told = (home / "environment").read_text()
        servers_of = [urlsplit(url) for url in re.findall(r"'(\S+://\S+)'", told)]
        [broker, cache, postgres] = sorted(filter(None, (one.port for one in servers_of)))
        ours = [int(given[name]) for name in ("FLOWER_PORT", "API_PORT", "GATEWAY_PORT")]
        for port in (broker, cache, postgres, *ours):
            assert not _answers_without_tls(port), port
        trusting = ssl.create_default_context(cafile=str(home / "tls" / "authority.pem"))
        for port in ours:
            with socket.create_connection(("127.0.0.1", port), 5) as plain:
                trusting.wrap_socket(plain, server_hostname="127.0.0.1").close()
        script = f". {home}/environment; wedops status --json"
        assert eventually(lambda: _connected(script) > 0, within=60), lines
        running.terminate()
        assert "all is ended" in running.communicate(timeout=60)[0]
    assert "Exception in ASGI" not in _errors(home_of_tls)
    assert _left(home_of_tls) == []


def _answers_without_tls(port: int) -> bool:
    """Tell whether a server says anything to who speaks HTTP or Redis without TLS."""
    for said in (b"GET / HTTP/1.0\r\n\r\n", b"PING\r\n"):
        with socket.create_connection(("127.0.0.1", port), 5) as one, suppress(OSError):
            one.settimeout(3)
            one.sendall(said)
            # An alert of TLS is no answer.
            if (heard := one.recv(100)) and not heard.startswith(b"\x15\x03"):
                return True
    return False


def _connected(script: str) -> int:
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
    return int(json.loads(done.stdout)["connections"]) if done.returncode in (0, 3, 4) else 0


def test_outside_its_folder_it_says_where_to_run_it(home: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from workers.cli.main import main; main(['up'])"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"WEDOPS_STATE": home},
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "wedops: there is no Procfile here; run `wedops up` in the project's folder\n"
