"""A tenth of the promised Saturday, and a storm of each kind: each comes to its end."""

import subprocess
import sys
from typing import Any

import orjson
import pytest

from schedules.table import TABLE
from tests import ROOT
from workers.foundation.celery_options import SOFT_LIMIT

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(600)]

SHORT = "--weddings 1000 --connections 10000 --nodes 8 --points 200 --short --json"
#: A storm that is not over by then has this figure.
PATIENCE = 240.0


@pytest.fixture(scope="module")
def saturday() -> dict[str, Any]:
    """Return the report of the benchmark's short form."""
    words = [sys.executable, "-m", "benchmarks.saturday", *SHORT.split()]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def test_every_job_is_measured_and_ends_well_before_its_limit(saturday: dict[str, Any]) -> None:
    jobs = saturday["details"]["jobs"]
    assert set(jobs) == {line.name for line in TABLE}
    assert max(job["wall_s"] for job in jobs.values()) < SOFT_LIMIT.total_seconds() / 2


def test_each_storm_comes_to_its_end(saturday: dict[str, Any]) -> None:
    storms = saturday["details"]["storms"]
    assert set(storms) == {"emergencies", "moved", "started", "alerts"}
    for name, figures in storms.items():
        late = {
            figure: value for figure, value in figures.items() if value >= PATIENCE and figure != "alerts"
        }
        assert not late, name
    assert storms["emergencies"]["told"] == 50
    assert storms["alerts"]["alerts"] >= 200


def test_all_that_was_promised_is_running(saturday: dict[str, Any]) -> None:
    running = set(saturday["details"]["steady"]["by_process"])
    assert running >= {"beat", "watch", "ingest", "deliver", "api", "flower"}
    assert running >= {f"worker-{name}" for name in ("emergency", "safety", "steady", "bulk")}
    assert saturday["figures"]["steady_cores"] > 0
