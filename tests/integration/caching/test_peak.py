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
    assert found.before == {
        "hit_ratio": pytest.approx(2 / 3, abs=0.01),
        "in_memory": pytest.approx(2 / 3, abs=0.01),
    }
    again = peak.optimise(2 * HOUR, by="ada", now=NOON)
    assert (again.key, again.until > found.until) == (found.key, True)
    reading.wedding("w-1")
    layers().tally.flush(now=NOON)
    assert peak.end(now=NOON, by="bea") is None, "she ordered none"
    assert peak.end(now=NOON) == {"before": found.before, "in_it": {"hit_ratio": 1.0, "in_memory": 1.0}}
    assert (layers().local.capacity, _ordered()) == (Policy().local_entries, None)
    with database.transaction() as db:
        detail = results.detail(db, found.key)
    assert detail
    assert detail["gained"]["in_it"]["hit_ratio"] == 1.0
    assert peak.end(now=NOON) is None


def test_it_holds_until_the_last_who_ordered_it_ends_it() -> None:
    peak.order(HOUR, by="degradation", key="a")
    peak.order(2 * HOUR, by="ada", key="b")
    assert peak.end(now=NOON, by="degradation") == {}
    assert (_ordered(), layers().local.capacity) == ("ada", Policy().local_entries_peak)
    peak.end(now=NOON, by="ada")
    assert (_ordered(), layers().local.capacity) == (None, Policy().local_entries)


def test_a_process_ends_it_in_time_though_nobody_says_so() -> None:
    peak.order(timedelta(milliseconds=300), by="ada", key="short")
    assert eventually(lambda: layers().local.capacity == Policy().local_entries_peak)
    assert eventually(lambda: layers().local.capacity == Policy().local_entries)


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
    assert peaks.known() == []
