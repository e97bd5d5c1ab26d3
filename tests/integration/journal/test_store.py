"""The journal: an event is there when its effect is; no reader skips one, or gets one twice."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from tests.made import NOON
from workers.foundation import clock, database, partitions, wakeups
from workers.foundation.moments import Moment
from workers.journal import store, tasks, usecases
from workers.journal.rules import Entry, Event

pytestmark = pytest.mark.usefixtures("world")


@dataclass(frozen=True)
class Rang(Event):
    """A bell rang."""

    name: ClassVar = "bells.rang"

    number: int


def _append(db: Connection, *numbers: int, at: Any = NOON) -> None:
    store.append(db, [Rang(number) for number in numbers], at=Moment(at))


def _ring(*numbers: int) -> None:
    with database.transaction() as db:
        _append(db, *numbers)


def _read(reader: str = "test") -> list[int]:
    heard = list[int]()
    usecases.read(reader, lambda _db, found: heard.extend(one.body["number"] for one in found))
    return heard


def test_a_reader_gets_each_event_once_from_its_beginning_on() -> None:
    _ring(1)
    assert _read() == [], "it begins here"
    _ring(2, 3)
    _ring(4)
    assert _read("another") == []
    assert _read() == [2, 3, 4]
    assert _read() == []
    _ring(5)
    assert (_read(), _read("another")) == ([5], [5])


def test_an_event_says_when_what_and_in_which_form() -> None:
    _read()
    _ring(7)
    found = list[Entry]()
    usecases.read("test", lambda _db, some: found.extend(some))
    [one] = found
    assert (one.at, one.name, one.version, one.body) == (NOON, "bells.rang", 1, {"number": 7})


def test_what_is_rolled_back_never_happened_and_what_the_reader_could_not_do_is_read_again() -> None:
    _read()
    with database.transaction() as db:
        _append(db, 1)
        db.rollback()
    _ring(2)

    def fails(db: Connection, _found: list[Entry]) -> None:
        db.execute(text("SELECT 1 / 0"))

    with pytest.raises(Exception, match="division by zero"):
        usecases.read("test", fails)
    assert _read() == [2]


@contextmanager
def _open() -> Iterator[Connection]:
    with database.engine().connect() as db, db.begin():
        yield db


def test_what_commits_late_with_a_lower_id_is_not_skipped() -> None:
    _read()
    with _open() as slow:
        _append(slow, 1)
        _ring(2)
        assert _read() == [], "the first is not known yet, and the second must not be read before it"
    assert _read() == [1, 2]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_writers_that_overlap_in_any_way_lose_and_double_nothing(
    steps: list[tuple[int, bool]], chance: random.Random
) -> None:
    """Each step appends in one of three open transactions.

    Some then commit, and a reader reads in between.
    """
    reader = f"reader-{chance.random()}"
    _read(reader)
    heard, written, stack = list[int](), set[int](), dict[int, ExitStack]()
    dbs = dict[int, Connection]()
    for number, (writer, commits) in enumerate(steps):
        if writer not in stack:
            stack[writer] = ExitStack()
            dbs[writer] = stack[writer].enter_context(_open())
        _append(dbs[writer], number)
        written.add(number)
        if commits:
            stack.pop(writer).close()
        heard += _read(reader)
    for one in stack.values():
        one.close()
    heard += _read(reader)
    assert sorted(heard) == sorted(written)


def test_many_writers_and_readers_at_once_lose_and_double_nothing() -> None:
    _read()
    heard = list[int]()

    def write(first: int) -> None:
        for number in range(first, first + 25):
            _ring(number)

    threads = [Thread(target=write, args=(first,)) for first in (0, 100, 200)]
    threads += [Thread(target=lambda: [heard.extend(_read()) for _ in range(40)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heard += _read()
    assert sorted(heard) == [*range(25), *range(100, 125), *range(200, 225)]


def test_what_was_restored_from_a_server_with_higher_numbers_is_read_on() -> None:
    _read()
    _ring(1, 2)
    with database.transaction() as db:
        store.advance(db, "test", store.read(db, "test", limit=1)[0])
        db.execute(text("UPDATE journal SET tx = cast((tx::text::bigint + 1000000000)::text AS xid8)"))
        db.execute(
            text("UPDATE journal_cursors SET tx = cast((tx::text::bigint + 1000000000)::text AS xid8)")
        )
    _ring(3)
    assert _read() == []
    moved = []
    for _ in range(2):
        with database.transaction() as db:
            moved.append(store.settle_in(db))
    assert moved == [1, 0]
    assert sorted(_read()) == [2, 3]


def test_a_reader_that_was_behind_when_it_was_saved_reads_on_after_the_restore() -> None:
    _read()
    _ring(1)
    assert _read() == [1]
    _ring(2, 3)
    with database.transaction() as db:
        db.execute(
            text("UPDATE journal SET tx = cast((tx::text::bigint + 1000000000)::text AS xid8) WHERE id > 1")
        )
    with database.transaction() as db:
        store.settle_in(db)
    assert [one for one in _read() if one > 1] == [2, 3]


def test_who_listens_is_woken_when_it_commits() -> None:
    with wakeups.listening(store.CHANNEL) as heard:
        with _open() as db:
            _append(db, 1)
            assert not heard(0.2)
        assert heard(5)
        assert not heard(0.1)


def test_old_days_go_and_coming_ones_are_made() -> None:
    old = (clock.now() - timedelta(days=40)).date()
    with database.transaction() as db:
        partitions.make(db, store.TABLE, [old])
    tasks.retain()
    with database.transaction() as db:
        days = partitions.known(db, store.TABLE)
    assert old not in days
    assert (clock.now() + timedelta(days=3)).date() in days
