"""What a look at a wedding calls for."""

from datetime import timedelta

import pytest

from tests.made import NOON, wedding
from workers.wedding_day.rules import looks as rules
from workers.wedding_day.rules.looks import Reason, Seen
from workers.weddings.rules.calendar import Phase, Status
from workers.weddings.rules.calendar import Policy as Phases
from workers.weddings.rules.modes import Mode
from workers.weddings.rules.modes import Policy as Modes


def _decide(hours: float, seen: Seen, **facts: object) -> rules.Decision:
    now = NOON + timedelta(hours=hours)
    return rules.decide(wedding(**facts), seen, rules.Policy(), Phases(), Modes(), now=now)  # type: ignore[arg-type]


def test_two_hours_before_it_is_warmed_up_once() -> None:
    first = _decide(-2, Seen(Phase.SETUP))
    assert (first.warm_up, first.reason) == (True, Reason.START_NEAR)
    assert not _decide(-1.9, first.now).warm_up


def test_a_wedding_that_is_moved_is_warmed_up_again() -> None:
    first = _decide(-1, Seen())
    assert _decide(0, first.now, starts_at=NOON + timedelta(hours=1)).warm_up


def test_a_wedding_that_runs_and_was_never_looked_at_is_warmed_up_late() -> None:
    assert _decide(3, Seen()).warm_up


def test_a_new_phase_is_noted() -> None:
    warm = "20261010T0800"
    assert _decide(-3.9, Seen(Phase.PLANNING, warm)).reason is Reason.PHASE_BEGAN
    assert _decide(-3.8, Seen(Phase.SETUP, warm, Mode.ARMED)).reason is Reason.NOTHING_NEW


def test_a_new_mode_is_noted() -> None:
    warm = "20261010T0800"
    found = _decide(-3.8, Seen(Phase.SETUP, warm))
    assert (found.reason, found.now.mode) == (Reason.MODE_BEGAN, Mode.ARMED)


def test_it_is_warmed_up_before_the_first_come_and_again_before_the_others() -> None:
    first = _decide(-5.9, Seen())
    assert (first.warm_up, first.now.warm_for) == (True, "20261010T0800")
    assert not _decide(-2.1, first.now).warm_up
    assert _decide(-1.9, first.now).now.warm_for == "20261010T1200"


def test_a_cancelled_wedding_needs_nothing() -> None:
    assert _decide(-1, Seen(), status=Status.CANCELLED) == rules.Decision(
        Seen(Phase.OVER, mode=Mode.DONE), False, Reason.NOTHING_NEW
    )


@pytest.mark.parametrize("seen", [Seen(), Seen(Phase.CEREMONY, "20261010T1200", Mode.LIVE)])
def test_what_was_seen_reads_as_it_was_written(seen: Seen) -> None:
    assert Seen.read(str(seen)) == seen


def test_what_the_version_before_wrote_knows_no_mode() -> None:
    assert Seen.read("setup+20261010T1200") == Seen(Phase.SETUP, "20261010T1200", Mode.SCHEDULED)


def test_never_looked_at_is_planning() -> None:
    assert Seen.read(None) == Seen()


def test_nothing_of_a_cancelled_wedding_is_due() -> None:
    cancelled = wedding(status=Status.CANCELLED)
    assert rules.next_look(cancelled, rules.Policy(), Phases(), Modes(), now=NOON) is None


def test_what_is_due_now_is_not_due_next() -> None:
    next_ = rules.next_look(wedding(starts_at=NOON), rules.Policy(), Phases(), Modes(), now=NOON)
    assert next_ == NOON + timedelta(hours=1)
