"""Snapshots by day."""

from datetime import date, timedelta

import pytest

from tests.made import NOON
from workers.foundation import database, partitions
from workers.snapshots import store, tasks
from workers.snapshots.rules import Snapshot

pytestmark = pytest.mark.usefixtures("world")


def test_the_last_snapshot_of_each_region_is_what_counts() -> None:
    rows = [
        Snapshot("east", NOON, 5, p95_ms=12.5, by_user_type={"guest": 5}),
        Snapshot("east", NOON + timedelta(minutes=1), 7),
        Snapshot("west", NOON - timedelta(minutes=9), 1),
    ]
    with database.transaction() as db:
        store.append(db, rows)
        assert store.latest(db, since=NOON - timedelta(minutes=5)) == [rows[1]]
        assert [count for _, _, count in store.history(db, NOON, NOON + timedelta(minutes=1))] == [5]


def test_a_day_gets_its_partition_and_loses_it_when_it_is_old() -> None:
    old = date(2020, 2, 29)
    with database.transaction() as db:
        partitions.make(db, store.TABLE, [old])
        assert old in partitions.known(db, store.TABLE)
    tasks.retain()
    with database.transaction() as db:
        days = partitions.known(db, store.TABLE)
    assert old not in days
    assert len(days) >= 5
