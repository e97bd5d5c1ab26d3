"""Paces."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.words import daily_at, minutes, seconds

MOMENT = datetime(2026, 10, 10, 12, tzinfo=UTC).timestamp()


@given(st.floats(0, 4e9), st.sampled_from([seconds(10), minutes(10), daily_at("03:10")]), st.text(min_size=1))
def test_the_last_due_moment_is_within_a_pace(at: float, pace: object, name: str) -> None:
    due = pace.due(name, at)  # type: ignore[attr-defined]
    assert due is not None
    assert -0.001 <= at - due < pace.every + 0.001  # type: ignore[attr-defined]


@given(st.floats(0, 4e9))
def test_every_beat_finds_the_same_moment(at: float) -> None:
    due = seconds(10).due("a", at)
    assert due is not None
    assert seconds(10).due("a", due + 0.001) == pytest.approx(due)


def test_jobs_of_one_pace_do_not_all_start_at_once() -> None:
    assert seconds(10).due("a", MOMENT) != seconds(10).due("b", MOMENT)


def test_daily_is_a_time_of_day_in_utc() -> None:
    due = daily_at("03:10").due("any", MOMENT)
    assert due is not None
    assert datetime.fromtimestamp(due, UTC) == datetime(2026, 10, 10, 3, 10, tzinfo=UTC)


def test_a_slow_job_may_start_an_hour_late_and_a_quick_one_a_pace() -> None:
    assert (daily_at("03:10").grace, seconds(10).grace) == (3600, 10)
