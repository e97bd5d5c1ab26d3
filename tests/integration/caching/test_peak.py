"""Peak mode: begun by hand, by plan and by responses; measured; undone."""

from datetime import timedelta

import pytest

from tests.made import NOON, eventually, wedding
from workers.caching.rules.kinds import Policy
from workers.caching.store import peaks, results
from workers.caching.store.layers import layers
from workers.caching.usecases import peak, reading
from workers.connections.store import peaks as planned
from workers.foundation import database
from workers.weddings.store import weddings

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _calendar(world: object) -> None:
    assert layers().is_ready()
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1")], at=NOON)


def _ordered() -> str | None:
    found = peaks.active(layers().changes.now())
    return found.by if found else None


def test_it_says_what_it_did_and_gained_and_undoes_it() -> None:
    for _ in range(3):
        reading.wedding("w-1")
    layers().tally.flush(now=NOON)
    found = peak.optimise(HOUR, by="ada", now=NOON)
    assert "1 hot entries loaded" in found.actions[-1]
    assert (found.errors, _ordered()) == ([], "ada")
    assert layers().local.capacity == Policy().local_entries_peak
    assert all(found.gains["read_us"])
    assert found.gains["hit_ratio"][0] == pytest.approx(2 / 3, abs=0.01)
    again = peak.optimise(2 * HOUR, by="bea", now=NOON)
    assert (again.key, _ordered(), again.until > found.until) == (found.key, "ada", True)
    reading.wedding("w-1")
    layers().tally.flush(now=NOON)
    assert peak.end(now=NOON, by="degradation") == {}, "it is another's"
    assert peak.end(now=NOON)["hit_ratio"] == 1.0
    assert (layers().local.capacity, _ordered()) == (Policy().local_entries, None)
    with database.transaction() as db:
        detail = results.detail(db, found.key)
    assert detail
    assert detail["gained"]["hit_ratio"] == 1.0
    assert peak.end(now=NOON) == {}


def test_a_planned_peak_begins_it_once_and_its_end_ends_it() -> None:
    planned.plan(5_000, NOON + HOUR)
    peak.follow_plan(now=NOON)
    assert _ordered() == peak.PLAN
    peak.end(now=NOON)
    peak.follow_plan(now=NOON)
    assert _ordered() is None, "who ended it before its time has the last word"
    peak.order(timedelta(milliseconds=50), by="ada", key="short")
    assert eventually(lambda: _ordered() is None)
    peak.follow_plan(now=NOON + 2 * HOUR)
    assert peaks.known() is None
