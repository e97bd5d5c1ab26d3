"""Who must get a message, how far it got, how long may pass."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import NOON, wedding
from workers.delivery.rules import (
    RECEIPTS,
    Audience,
    Policy,
    Receipt,
    Recipient,
    State,
    merged,
    pace,
    recipient,
    recipient_of,
    recipients,
    strangers,
)
from workers.foundation.moments import Moment
from workers.notify.rules import steps_due
from workers.weddings.rules.calendar import Policy as Phases
from workers.weddings.rules.calendar import Status, on_duty

DUTIES = {"s1": {"type": "florist", "until": "2026-10-10T10:00"}, "s2": {"type": "band"}}
W = wedding(duties=DUTIES)


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        (Audience(), ["supplier:s1", "supplier:s2", "planner", "couple"]),
        (Audience(supplier_types=("band",)), ["supplier:s2", "planner", "couple"]),
        (Audience(supplier_ids=("s1",), planner=False, couple=False), ["supplier:s1"]),
        (Audience(supplier_types=("band",), supplier_ids=("s1",), couple=False),
         ["supplier:s1", "supplier:s2", "planner"]),
        (Audience(suppliers=False), ["planner", "couple"]),
        (Audience(suppliers=False, planner=False, couple=False, guests=True), ["guest:g1", "guest:g2"]),
    ],
)  # fmt: skip
def test_an_audience_is_whom_the_calendar_has(audience: Audience, expected: list[str]) -> None:
    found = recipients(W, audience, W.supplier_ids, ["g1", "g2"])
    assert [str(one) for one in found] == expected
    assert [recipient(str(one)) for one in found] == found


def test_types_and_suppliers_that_a_wedding_does_not_have_are_named() -> None:
    asked = Audience(supplier_types=("band", "magician"), supplier_ids=("s1", "s9"))
    assert strangers(W, asked) == ["magician", "s9"]


def test_whose_duty_is_over_is_not_on_duty_and_nobody_is_once_it_is_over_or_cancelled() -> None:
    phases, until = Phases(), NOON + timedelta(hours=2)
    assert on_duty(W, phases, now=Moment(until - timedelta(seconds=1))) == ["s1", "s2"]
    assert on_duty(W, phases, now=Moment(until)) == ["s2"]
    assert on_duty(W, phases, now=Moment(NOON + timedelta(hours=10))) == []
    assert on_duty(wedding(status=Status.CANCELLED), phases, now=NOON) == []


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (("planner", "u1", "s1"), "planner"),
        (("couple", "u1", None), "couple"),
        (("guest", "u1", None), "guest:u1"),
        (("vendor", "u1", "s1"), "supplier:s1"),
        (("vendor", "u1", None), "None"),
    ],
)
def test_who_is_connected_gets_messages_as_what_they_are(person: Any, expected: str) -> None:
    assert str(recipient_of(*person)) == expected


def test_a_recipient_is_reached_under_their_name_and_guests_by_no_other_channel() -> None:
    names = ["supplier:s1", "planner", "couple", "guest:g1"]
    assert [recipient(one).contact for one in names] == ["s1", "planner", "couple", ""]
    assert recipient("supplier:s1") == Recipient(recipient("supplier:s1").kind, "s1")


@given(st.randoms(use_true_random=False), st.lists(st.tuples(st.sampled_from(RECEIPTS), st.integers(1, 9))))
def test_receipts_in_any_order_and_doubled_say_the_same(
    chance: Random, said: list[tuple[State, int]]
) -> None:
    came = [Receipt("w-1", "m", "planner", state, at) for state, at in said]
    shuffled = came + came[: len(came) // 2]
    chance.shuffle(shuffled)
    assert merged(came) == merged(shuffled)
    for found in merged(came).values():
        moments = [found[state] for state in RECEIPTS if state in found]
        assert moments == sorted(moments), "who acknowledged it had it before"
        assert list(RECEIPTS[: len(moments)]) == [state for state in RECEIPTS if state in found]


def test_the_nearer_the_moment_the_less_time_there_is() -> None:
    policy = Policy()
    spans = [timedelta(0), timedelta(minutes=12), timedelta(hours=1), timedelta(days=7)]
    assert [pace(Moment(NOON + span), policy, now=NOON) for span in spans] == [1, 1, 5, 60]
    assert policy.waits == (timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=15))


def test_steps_are_due_one_after_the_other() -> None:
    waits = [timedelta(seconds=one) for one in (5, 10, 15)]
    due = [steps_due(waits, NOON, NOON + timedelta(seconds=at)) for at in (0, 5, 14, 15, 30, 99)]
    assert [count for count, _ in due] == [0, 1, 1, 2, 3, 3]
    assert [(at - NOON).total_seconds() for _, at in due] == [0, 5, 5, 15, 30, 30]
    assert steps_due([], NOON, NOON) == (0, NOON)


@pytest.mark.parametrize(
    "wrong",
    [
        {"contacts_after": timedelta(0)},
        {"names_after": timedelta(hours=1)},
        {"operations_after": timedelta(milliseconds=1)},
        {"near": timedelta(seconds=1)},
        {"slowest": 0.5},
        {"to_read": 0.0},
        {"a_second": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Policy(**wrong)
