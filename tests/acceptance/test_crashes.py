"""kill -9 of anything: every job runs again, nothing that was accepted is lost, nothing happens twice."""

import os
import signal
from datetime import timedelta
from time import sleep

import pytest

from schedules.table import TABLE
from tests.acceptance.conftest import Query, System
from tests.made import eventually, wedding
from workers import client
from workers.foundation import clock, database, jobs
from workers.weddings.store import weddings

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(420)]

MEMBERS = ["-Q emergency", "-Q safety", "-Q steady", "-Q bulk", "schedules.beat"]


def test_nothing_accepted_is_lost_and_nothing_happens_twice(system: System, rows: Query) -> None:
    keys: list[str] = []
    # One emergency of a kind is open at a wedding: each has its own.
    with database.transaction() as db:
        ahead = clock.now() + timedelta(days=40)
        weddings.upsert(
            db, [wedding(f"crash-{n}", starts_at=ahead) for n in range(25 * len(MEMBERS))], at=clock.now()
        )
    for member in MEMBERS:
        for number in range(25):
            keys.append(f"crash/{member[-6:].strip()}/{number}".replace(" ", "-"))
            client.open_emergency("technical", f"crash-{len(keys) - 1}", request_key=keys[-1])
            if number == 10:
                before = system.pid(member)
                os.kill(before, signal.SIGKILL)
        # A pool child as well: the youngest of the worker's processes.
        if "-Q" in member:
            assert eventually(lambda m=member: len(system.pids(m)) > 1, within=30)  # type: ignore[misc]
            os.kill(max(system.pids(member)), signal.SIGKILL)
    done = "SELECT count(*) FROM requests WHERE key LIKE 'crash/%' AND state = 'done'"
    assert eventually(lambda: rows(done) == [(len(keys),)], within=120), rows(
        "SELECT key, state FROM requests WHERE state <> 'done'"
    )
    assert rows("SELECT count(*), count(DISTINCT key) FROM emergencies WHERE key LIKE 'crash/%'") == [
        (len(keys), len(keys))
    ]
    assert rows("SELECT count(*) - count(DISTINCT (emergency_id, number)) FROM emergency_steps") == [(0,)]


def test_every_job_runs_again(system: System, rows: Query) -> None:
    for member in MEMBERS:
        if pid := system.pid(member):
            os.kill(pid, signal.SIGKILL)
    killed = clock.epoch()
    # How soon beat fires again is a figure of benchmarks/beat.py; here it has to, however busy the machine
    # is.
    assert eventually(lambda: any(record.fired > killed for record in jobs.records()), within=60)
    quick = {line.name for line in TABLE if line.wedding_day.every <= 15}

    def _finished() -> set[str]:
        return {record.name for record in jobs.records() if record.finished > killed}

    assert eventually(lambda: quick <= _finished(), within=90), quick - _finished()
    sleep(1)
    assert rows("SELECT count(*) - count(DISTINCT (region, resource, follows)) FROM scaling_actions") == [
        (0,)
    ]
    assert rows("SELECT count(*) - count(DISTINCT key) FROM outbox WHERE kind = 'notification'") == [(0,)]
    assert jobs.tallies()["restarts"] >= len(MEMBERS)
