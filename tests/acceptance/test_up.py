"""`wedops up --demo --seconds N --json`.

The whole system for a while, then one JSON object and no process left.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import ROOT
from tests.conftest import URLS
from workers.processes import servers

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(400)]


@pytest.fixture
def home() -> object:
    folder = tempfile.mkdtemp(prefix="wedops-up-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _up(home: str, *words: str) -> "subprocess.CompletedProcess[str]":
    ports = {name: str(servers.free_port()) for name in ("FLOWER_PORT", "API_PORT", "GATEWAY_PORT")}
    environment = (
        {name: value for name, value in os.environ.items() if name not in URLS}
        | ports
        | {"WEDOPS_STATE": home}
    )
    command = [sys.executable, "-m", "tests.acceptance.wedops", "up", "--demo", "--json", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
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
