"""When nothing may be changed, and when again."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import NOON
from workers.foundation.moments import Moment
from workers.weddings.rules.gate import Change, Override, Policy, Reason, Span, Window, closed, decide

HOUR = timedelta(hours=1)


def _at(hours: float) -> Moment:
    return Moment(NOON + hours * HOUR)


def _span(start: float, end: float, id: str = "w-1") -> Span:
    return Span(_at(start), _at(end), "America/New_York", id)


def _ask(
    spans: list[Span],
    hours: float = 0,
    *,
    minutes: int = 30,
    overridden: float | None = None,
    change: Change = Change.DEPLOY,
) -> object:
    opened = None if overridden is None else Override(change, "", _at(overridden), "ada", "a leak")
    lasts = timedelta(minutes=minutes)
    return decide(change, spans, Policy(), now=_at(hours), lasts=lasts, override=opened)


def test_without_a_wedding_near_it_is_open_until_one_comes_near() -> None:
    found = _ask([_span(10, 16)])
    assert (found.is_open, found.reason, found.until) == (True, Reason.NO_WEDDING_NEAR, _at(6))
    assert found.window == Window(_at(0), _at(6))
    assert _ask([]).until is None
    assert _ask([]).window == Window(_at(0), None)


@pytest.mark.parametrize(
    ("hours", "is_open"), [(5.5, True), (6, False), (12, False), (16.99, False), (17, True)]
)
def test_it_is_closed_from_before_a_wedding_until_after_it(hours: float, is_open: bool) -> None:
    assert _ask([_span(10, 16)], hours).is_open is is_open


def test_each_change_has_its_own_margin() -> None:
    found = {change: _ask([_span(10, 16)], 3, change=change).is_open for change in Change}
    assert found == {Change.DEPLOY: True, Change.SETTINGS: True, Change.MIGRATION: False}


def test_weddings_that_meet_close_it_as_one() -> None:
    found = _ask([_span(2, 8), _span(10, 16, "w-2"), _span(5, 9, "w-3")], 3)
    assert (found.until, found.weddings, found.last.id) == (_at(17), 3, "w-2")
    assert found.window == Window(_at(17), None)


def test_a_window_is_as_long_as_asked_for() -> None:
    spans = [_span(1, 2), _span(8, 9)]
    assert _ask(spans, 1).window == Window(_at(3), _at(4))
    assert _ask(spans, 1, minutes=90).window == Window(_at(10), None)
    every = [_span(4 * n, 4 * n + 4, f"w-{n}") for n in range(100)]
    assert _ask(every, 1).window is None


def test_who_opened_it_is_heeded_until_then_and_it_is_said() -> None:
    found = _ask([_span(1, 6)], overridden=1)
    assert (found.is_open, found.reason, found.until, found.weddings) == (True, Reason.OVERRIDDEN, _at(1), 1)
    assert not _ask([_span(1, 6)], 1, overridden=1).is_open
    assert _ask([], overridden=1).reason is Reason.NO_WEDDING_NEAR


def test_what_would_not_be_done_in_time_is_not_begun() -> None:
    found = _ask([_span(5, 8)], minutes=90)
    assert (found.is_open, found.reason, found.until) == (False, Reason.TOO_SHORT, _at(9))
    assert found.window == Window(_at(9), None)
    assert _ask([_span(5, 8)], minutes=60).is_open


@pytest.mark.parametrize("given_", [{"deploy_before": -HOUR}, {"ahead": HOUR}, {"after": -HOUR}])
def test_a_policy_that_closes_nothing_is_refused(given_: dict[str, timedelta]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Policy(**given_)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 96)), max_size=30),
    st.integers(0, 400),
    st.integers(1, 2_000),
)
def test_a_window_holds_no_closed_moment(spans: list[tuple[int, int]], now: int, minutes: int) -> None:
    weddings = [_span(start, start + lasts, f"w-{n}") for n, (start, lasts) in enumerate(spans)]
    periods = closed(weddings, 4 * HOUR, HOUR)
    assert all(one.until < other.since for one, other in pairwise(periods))
    assert sum(one.weddings for one in periods) == len(weddings)
    found = _ask(weddings, now, minutes=minutes)
    there = timedelta(minutes=minutes)
    assert found.is_open == (
        not any(one.since < _at(now) + there and _at(now) < one.until for one in periods)
    )
    if found.window:
        end = found.window.since + timedelta(minutes=minutes)
        assert found.window.since >= _at(now)
        assert not any(one.since < end and one.until > found.window.since for one in periods)
