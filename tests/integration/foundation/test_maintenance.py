"""What drops old rows waits until no wedding is near, and not for ever."""

from datetime import timedelta

import pytest

from tests.made import NOON, wedding
from workers.foundation import clock, database, jobs, maintenance
from workers.journal import tasks as journal
from workers.wedding_day.usecases import maintaining
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")

HOUR = 3600.0


def test_a_job_runs_once_a_day_in_a_window_and_waits_for_one_no_longer_than_two_days() -> None:
    assert maintenance.is_due("x", at=1e9), "one that never was may have to make what is missing"
    maintenance.done("x", at=1e9)
    maintenance.publish(1e9 + 100 * HOUR)
    assert not maintenance.is_due("x", at=1e9 + 19 * HOUR)
    assert maintenance.is_due("x", at=1e9 + 21 * HOUR)
    maintenance.publish(None)
    assert not maintenance.is_due("x", at=1e9 + 21 * HOUR)
    assert maintenance.is_due("x", at=1e9 + 45 * HOUR)


def test_the_window_is_when_no_wedding_of_any_region_is_near() -> None:
    start = clock.now() + timedelta(hours=4)
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", starts_at=start)], at=NOON)
    machine = clock.machine_now()
    maintenance.done("x", at=machine.timestamp() - 21 * HOUR)
    maintaining.publish_window(now=clock.now(), machine=machine)
    assert maintenance.is_due("x", at=machine.timestamp())
    assert not maintenance.is_due("x", at=machine.timestamp() + 3 * HOUR), "what was published is old"
    maintaining.publish_window(now=start, machine=machine)
    assert not maintenance.is_due("x", at=machine.timestamp())


def _fired(token: str) -> str:
    journal.retain.push_request(id=token, job={"name": "journal.retain", "due": clock.epoch()})
    try:
        journal.retain()
    finally:
        journal.retain.pop_request()
    [record] = [one for one in jobs.records() if one.name == "journal.retain"]
    return record.result


def test_a_job_that_maintains_is_fired_often_and_done_in_its_time() -> None:
    jobs.expect({"journal.retain": 1800.0})
    assert _fired("a") == "ok"
    assert _fired("b") == maintenance.WAITS
    maintenance.publish(clock.epoch() + HOUR)
    maintenance.done("journal.retain", at=clock.epoch() - 21 * HOUR)
    assert _fired("c") == "ok"
    journal.retain()
