"""The outbox: what is committed is sent, by one sender at a time, until it is done or given up."""

from collections import Counter
from datetime import timedelta
from threading import Thread
from time import sleep
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from sqlalchemy import text

from tests.made import due_now
from workers.foundation import database
from workers.outbox import store, usecases
from workers.outbox.rules import Entry, Lane, Message, Outcome, Result, Retry, State, Status

pytestmark = pytest.mark.usefixtures("world")

RETRY = Retry(timedelta(seconds=8), lease=timedelta(seconds=10), attempts=3)


class Target:
    """Takes what is sent, answers as it is told, and remembers."""

    def __init__(self, *answers: Outcome | BaseException) -> None:
        self.answers, self.got = list(answers), list[str]()

    def __call__(self, entry: Entry) -> Result:
        self.got.append(entry.key)
        answer = self.answers.pop(0) if self.answers else Outcome.SENT
        if isinstance(answer, BaseException):
            raise answer
        return Result(answer, "it said no" if answer is Outcome.FAILED else "")


def _write(*keys: str, **facts: Any) -> int:
    with database.transaction() as db:
        return store.write(db, [Message(key, "test", {"n": 1}, **facts) for key in keys])


def _deliver(target: Target, seconds: float = 5) -> None:
    usecases.deliver("test", target, RETRY, seconds=seconds)


def _status(key: str) -> Status:
    with database.transaction() as db:
        return store.statuses(db, [key])[key]


def _waits() -> float:
    with database.transaction() as db:
        return float(db.execute(text("SELECT extract(epoch FROM due_at - now()) FROM outbox")).scalar_one())


def test_a_key_is_sent_once_however_often_it_is_written() -> None:
    target = Target()
    assert [_write("a"), _write("a"), _write("a", "b")] == [1, 0, 1]
    _deliver(target)
    _deliver(target)
    assert target.got == ["a", "b"]


def test_what_is_not_committed_is_not_sent() -> None:
    target = Target()
    with database.transaction() as db:
        store.write(db, [Message("a", "test", {})])
        db.rollback()
    _deliver(target)
    assert target.got == []


def test_of_emergencies_the_newest_goes_first_and_of_another_lane_the_oldest() -> None:
    _write("late", lane=Lane.NORMAL)
    _write("urgent", lane=Lane.URGENT)
    _write("first", lane=Lane.EMERGENCY)
    _write("second", lane=Lane.EMERGENCY)
    target = Target()
    _deliver(target)
    assert target.got == ["second", "first", "urgent", "late"]


def test_many_senders_at_once_send_each_once() -> None:
    _write(*(f"key-{number}" for number in range(60)))
    target = Target()
    threads = [Thread(target=_deliver, args=(target,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(target.got) == Counter(f"key-{number}" for number in range(60))


@pytest.mark.parametrize(
    "failure", [Outcome.FAILED, ValueError("with a secret"), usecases.EntryUnknown(entry_id=1)]
)
def test_what_fails_is_tried_again_later_and_later_and_dead_in_the_end(failure: Outcome | Exception) -> None:
    _write("a")
    target, waits = Target(failure, failure, failure), []
    for _ in range(3):
        _deliver(target)
        waits.append(_waits())
        _deliver(target)
        due_now()
    assert waits[0] == pytest.approx(8, rel=0.3)
    assert waits[1] == pytest.approx(16, rel=0.3)
    assert target.got == ["a"] * 3
    assert (_status("a").state, _status("a").attempts) == (State.DEAD, 3)
    [dead] = usecases.dead(10)
    assert dead.problem
    assert "secret" not in dead.problem
    usecases.replay(dead.id)
    _deliver(target)
    assert (_status("a").state, target.got) == (State.SENT, ["a"] * 4)
    with pytest.raises(usecases.EntryUnknown):
        usecases.replay(dead.id)


def test_a_recipient_that_fails_holds_up_no_other() -> None:
    _write("a", "b", "c", recipient="broken")
    _write("d", "e", recipient="whole")
    target = Target(Outcome.FAILED)
    _deliver(target)
    assert target.got == ["a", "d", "e"]


@pytest.mark.parametrize("death", [SoftTimeLimitExceeded(), KeyboardInterrupt()])
def test_a_sender_that_dies_is_followed_by_another_after_the_lease(death: Any) -> None:
    _write("a")
    target = Target(death)
    with pytest.raises(type(death)):
        _deliver(target)
    _deliver(target)
    assert target.got == ["a"]
    assert 0 < _waits() <= 10
    due_now()
    _deliver(target)
    assert (target.got, _status("a").attempts) == (["a", "a"], 2)


def test_who_took_longer_than_the_lease_changes_nothing_of_its_successor() -> None:
    _write("a")

    def slow(entry: Entry) -> Result:
        due_now()
        _deliver(Target(Outcome.FAILED))
        return Result(Outcome.FAILED, "late")

    usecases.deliver("test", slow, RETRY, seconds=0.01)
    with database.transaction() as db:
        assert db.execute(text("SELECT problem, attempts FROM outbox")).one() == ("it said no", 2)


def test_what_was_handed_over_is_sent_again_until_its_effect_completes_it() -> None:
    _write("a")
    target = Target(Outcome.ENQUEUED, Outcome.ENQUEUED)
    _deliver(target)
    due_now()
    _deliver(target)
    with database.transaction() as db:
        store.sent(db, ["a"])
    due_now()
    _deliver(target)
    assert (target.got, _status("a").state) == (["a", "a"], State.SENT)


def test_what_is_postponed_does_not_count() -> None:
    _write("a")
    target = Target(*[Outcome.POSTPONED] * 5)
    for _ in range(5):
        _deliver(target)
        due_now()
    assert (len(target.got), _status("a").attempts) == (5, 0)


def test_what_is_withdrawn_or_too_late_is_not_sent() -> None:
    _write("a")
    _write("b", lasts=timedelta(seconds=-1))
    _write("c", "d", recipient="gone")
    with database.transaction() as db:
        store.withdraw(db, ["a"])
        store.withdraw_for(db, "test", "gone")
        store.withdraw_for(db, "other", "")
    target = Target()
    _deliver(target)
    assert target.got == []
    assert [_status(key).state for key in "abcd"] == [State.WITHDRAWN] * 4


def test_what_is_sent_at_once_is_sent_by_who_wrote_it_alone() -> None:
    messages = [Message(key, "test", {}) for key in ("a", "b")]

    def slow(_entry: Entry) -> Result:
        target = Target()
        _deliver(target)
        assert target.got == [], "who wrote them sends them"
        return Result(Outcome.SENT)

    assert {key: one.outcome for key, one in usecases.send_now(messages, slow, RETRY).items()} == {
        "a": Outcome.SENT, "b": Outcome.SENT,
    }  # fmt: skip
    assert usecases.send_now(messages, Target(), RETRY) == {}, "they are not new"


def test_a_late_sender_changes_nothing_although_the_count_of_attempts_is_the_same_again() -> None:
    _write("a")

    def late(_entry: Entry) -> Result:
        due_now()
        _deliver(Target(Outcome.POSTPONED))
        return Result(Outcome.FAILED, "late")

    usecases.deliver("test", late, Retry(RETRY.after, lease=RETRY.lease, attempts=1), seconds=0.01)
    assert (_status("a").state, _status("a").attempts) == (State.WAITING, 1)


def test_what_kills_each_of_its_senders_is_given_up() -> None:
    _write("a")
    target = Target(*[KeyboardInterrupt()] * 9)
    for _ in range(RETRY.attempts or 0):
        with pytest.raises(KeyboardInterrupt):
            _deliver(target)
        due_now()
    _deliver(target)
    assert (_status("a").state, len(target.got)) == (State.DEAD, 3)
    assert [one.problem for one in usecases.dead(1)] == ["each of its senders died"]


def test_recipients_that_hang_keep_no_other_waiting_for_more_than_their_turn() -> None:
    for who in "ab":
        _write(*(f"{who}{number}" for number in range(5)), recipient=who)
    _write("c", recipient="c")
    target = Target(*[Outcome.FAILED] * 2)

    def hangs(entry: Entry) -> Result:
        sleep(0.3)
        return target(entry)

    for _ in range(3):
        # A run has time for one.
        usecases.deliver("test", hangs, RETRY, seconds=0.25)
    assert target.got == ["a0", "b0", "c"]


def test_what_is_given_up_is_still_failing_for_a_day() -> None:
    _write("a")
    target = Target(*[Outcome.FAILED] * 3)
    counts = []
    for _ in range(3):
        _deliver(target)
        due_now()
        with database.transaction() as db:
            counts.append(store.failing(db, "test"))
    assert counts == [0, 0, 1]
    assert _status("a").state is State.DEAD


def test_what_is_just_being_sent_does_not_expire() -> None:
    _write("a", lasts=timedelta(seconds=0.01))

    def slow(_entry: Entry) -> Result:
        sleep(0.05)
        _deliver(Target())
        return Result(Outcome.SENT)

    usecases.deliver("test", slow, RETRY, seconds=1)
    assert _status("a").state in (State.SENT, State.WITHDRAWN)


def test_a_later_form_is_left_to_a_worker_that_knows_it() -> None:
    _write("later", version=2)
    _write("now")
    target = Target()
    _deliver(target)
    assert (target.got, _status("later").attempts) == (["now"], 0)
