"""Which mode a wedding is in."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.made import NOON, wedding
from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import Policy as Phases
from workers.weddings.rules.calendar import Status
from workers.weddings.rules.modes import Hold, Mode, Policy, by_calendar, mode


def _calendar(hours: float, **facts: object) -> Mode:
    return by_calendar(wedding(**facts), Policy(), Phases(), now=Moment(NOON + timedelta(hours=hours)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (-24.1, Mode.SCHEDULED),
        (-24, Mode.ARMED),
        (-2.1, Mode.ARMED),
        (-2, Mode.LIVE),
        (5.9, Mode.LIVE),
        (6, Mode.WINDING_DOWN),
        (8.9, Mode.WINDING_DOWN),
        (9, Mode.DONE),
    ],
)
def test_it_begins_and_ends_by_the_calendar(hours: float, expected: Mode) -> None:
    assert _calendar(hours) is expected


def test_a_cancelled_wedding_is_done_at_once() -> None:
    assert _calendar(-1, status=Status.CANCELLED) is Mode.DONE


def test_a_night_whose_hour_is_skipped_is_armed_for_twenty_four_real_hours() -> None:
    start = datetime(2026, 3, 8, 15, tzinfo=ZoneInfo("America/New_York"))
    one = wedding(starts_at=start.astimezone(ZoneInfo("UTC")))
    # The wall clock shows 14:00 the day before: an hour of that night does not exist.
    before = Moment(datetime(2026, 3, 7, 14, 0, tzinfo=ZoneInfo("America/New_York")))
    assert by_calendar(one, Policy(), Phases(), now=before) is Mode.ARMED
    assert by_calendar(one, Policy(), Phases(), now=Moment(before - timedelta(seconds=1))) is Mode.SCHEDULED


def test_who_holds_a_wedding_never_lowers_its_mode() -> None:
    until = Moment(NOON + timedelta(days=9))
    armed, live = (
        Hold("w-1", one, Moment(NOON), until, "ada", "rehearsal") for one in (Mode.ARMED, Mode.LIVE)
    )
    assert mode(Mode.SCHEDULED, armed) is Mode.ARMED
    assert mode(Mode.LIVE, armed) is Mode.LIVE
    assert mode(Mode.WINDING_DOWN, live) is Mode.LIVE
    assert mode(Mode.WINDING_DOWN, armed) is Mode.WINDING_DOWN
    assert mode(Mode.DONE, armed) is Mode.DONE
    assert mode(Mode.DONE, live) is Mode.LIVE
    assert mode(Mode.DONE, None) is Mode.DONE


def test_a_mode_that_begins_before_the_other_is_refused() -> None:
    with pytest.raises(ValueError, match="live_before must be from 0s to armed_before"):
        Policy(armed_before=timedelta(hours=1), live_before=timedelta(hours=2))
