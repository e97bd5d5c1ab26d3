"""Partitions by day: made without anybody's waiting for who wanted them first."""

from datetime import date
from threading import Barrier, Thread

import pytest
from sqlalchemy import Connection, text

from workers.foundation import database, partitions
from workers.journal import store

pytestmark = pytest.mark.usefixtures("world")

DAYS = [date(2001, 1, 1), date(2001, 1, 2)]


def _write(db: Connection, day: date, body: int) -> None:
    row = {"at": day, "body": str(body)}
    db.execute(text("INSERT INTO journal (at, name, version, body) VALUES (:at, 'n', 1, :body)"), row)


@pytest.fixture(autouse=True)
def _gone() -> None:
    with database.transaction() as db:
        partitions.drop(db, store.TABLE, DAYS)


def test_who_made_one_and_stays_open_holds_up_neither_makers_nor_readers_nor_writers() -> None:
    with database.transaction() as slow:
        partitions.make(slow, store.TABLE, DAYS[:1])
        with database.transaction() as db:
            db.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")
            partitions.make(db, store.TABLE, DAYS)
            db.exec_driver_sql(
                "INSERT INTO journal (at, name, version, body) VALUES ('2001-01-02', 'n', 1, '1')"
            )
            assert set(DAYS) <= set(partitions.known(db, store.TABLE))


def test_who_already_writes_to_the_table_can_still_make_one() -> None:
    with database.transaction() as db:
        partitions.make(db, store.TABLE, DAYS[:1])
        _write(db, DAYS[0], 1)
        partitions.make(db, store.TABLE, DAYS[1:])
        _write(db, DAYS[1], 2)
    with database.transaction() as db:
        found = db.exec_driver_sql("SELECT body FROM journal WHERE at < '2002-01-01' ORDER BY at").scalars()
        assert list(found) == [1, 2]


def test_two_at_the_same_moment_make_one() -> None:
    together, failed = Barrier(2), list[Exception]()

    def make() -> None:
        try:
            with database.transaction() as db:
                partitions.known(db, store.TABLE)
                together.wait(10)
                partitions.make(db, store.TABLE, DAYS)
        except Exception as error:
            failed.append(error)

    threads = [Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with database.transaction() as db:
        indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'journal_20010101'"
        assert db.exec_driver_sql(indexes).scalar_one() == 2, "those of the whole table"
