"""A Saturday with faults, as somebody on call lives it.

A database that stands still, a killed worker, a slow guest list.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import orjson
import pytest
from click.testing import CliRunner

from tests.acceptance.conftest import System
from tests.made import eventually
from workers import client
from workers.cli.main import wedops
from workers.foundation import clock, jobs
from workers.measurements.rules.samples import Sample
from workers.measurements.usecases import intake
from workers.processes import servers

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(400)]


def _run(*words: str) -> str:
    begun = clock.stopwatch()
    done = CliRunner().invoke(wedops, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    # Whatever hangs: somebody waits.
    assert clock.stopwatch() - begun < 10
    return done.output


@contextmanager
def _standing_still(server: servers.Server) -> Iterator[None]:
    """Have PostgreSQL take connections and say nothing: its whole family."""
    family = [server.process.pid, *_children(server.process.pid)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(family):
            os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_database_that_stands_still_is_one_page_and_an_all_clear_and_is_in_the_timeline(
    system: System, real_servers: list[servers.Server]
) -> None:
    workers = {name: system.pid(f"-Q {name}") for name in ("emergency", "safety", "steady", "bulk")}
    assert eventually(lambda: "beat" not in _run("alerts", "list"), within=60)
    told = system.log("watch").count("critical firing: database")
    with _standing_still(real_servers[2]):
        assert eventually(
            lambda: system.log("watch").count("critical firing: database") == told + 1, within=90
        )
        # What can be known is said while it stands still: what is wrong, and what to do.
        shown = _run("status", "--json")
        assert "wedops doctor" in orjson.loads(shown)["verdict"]
        assert orjson.loads(shown)["beats"] == 1
        sleep(10)
    assert eventually(lambda: "resolved: database" in system.log("watch"), within=60)
    log = system.log("watch")
    assert log.count('"title":"critical firing: database"') == told + 1, "one page, not one for each look"
    assert "critical firing: job_stopped" not in log, "what follows from it is not told"
    # No worker was ended for it, and work goes on.
    assert {name: system.pid(f"-Q {name}") for name in workers} == workers
    client.open_emergency("technical", "w-1", request_key="after-the-stillness")
    assert eventually(
        lambda: (found := client.find("after-the-stillness")) and found.state == "done", within=60
    )
    timeline = _run("timeline", "--since", "30m")
    assert "notified operations without the database: critical firing: database" in timeline
    assert "notified operations without the database: resolved: database" in timeline
    assert "emergency" in timeline


def test_a_worker_that_is_killed_is_put_back_counted_and_in_the_timeline(system: System) -> None:
    before = jobs.tallies().get("restarts:worker-bulk:died", 0)
    os.kill(system.pid("-Q bulk"), signal.SIGKILL)
    assert eventually(lambda: jobs.tallies().get("restarts:worker-bulk:died", 0) == before + 1, within=30)
    assert "process worker-bulk died and was restarted  (supervisor)" in _run("timeline")
    assert eventually(lambda: system.pid("-Q bulk"), within=30)


def _verdict() -> str:
    return str(orjson.loads(_run("status", "--json"))["verdict"])


def test_a_slow_guest_list_says_how_many_whom_it_hurts_and_what_to_do(system: System) -> None:
    now = clock.machine_now()
    labels = (("region", "us-northeast"), ("wedding_id", "w-1"))
    slow = [Sample("guest_list_seconds", labels, now.timestamp() - number / 4, 2.0) for number in range(348)]
    assert intake.take(slow, sent_by=intake.Source("test"), now=now).accepted == 348
    # What was evaluated first may have seen some of them alone, or be told after what else is wrong.
    said = "348 of 348 loads of the guest list took longer than 1 s in the last 5 min"
    assert eventually(lambda: said in _verdict(), within=120), _verdict()
    verdict = _verdict()
    assert "affects 1 wedding (setup)" in verdict, verdict
    assert "to do: docs/runbooks/guest_list.md" in verdict
    assert "guest_list" in _run("timeline", "--wedding", "w-1")
