"""A short form of `make faults`: each kind of kill once, nothing accepted is lost, nothing happens twice."""

import json
import os
import subprocess
import sys

import pytest

from tests import ROOT

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(420)]


def test_each_kind_of_kill_loses_nothing_and_doubles_nothing() -> None:
    # A process of its own: it has servers of its own.
    command = [
        sys.executable,
        "-m",
        "benchmarks.faults",
        "--requests",
        "150",
        "--kills",
        "5",
        "--alone",
        "--json",
    ]
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WEDOPS_", "NOTIFY_", "PROMETHEUS_"))
    }
    done = subprocess.run(
        command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])["figures"]
    assert (found["accepted"], found["settled"], found["kills"]) == (150, 1, 5)
    assert (found["lost"], found["double_effects"], found["double_notifications"]) == (0, 0, 0)
