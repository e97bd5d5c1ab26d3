"""Error budgets: how fast they burn, over the month and over one wedding."""

from datetime import timedelta

import numpy as np
import pytest

from workers.alerts.rules.kinds import Kind
from workers.measurements.rules.objectives import (
    MONTH,
    OBJECTIVES,
    Counts,
    are_bad,
    budget_left,
    burns,
    wedding_windows,
)

PHOTOS = next(one for one in OBJECTIVES if one.name == "photo_upload")
HOUR = MONTH[0]


@pytest.mark.parametrize(
    ("counts", "burn"),
    [
        (Counts(3600, 0, 300, 0), 0),
        (Counts(3600, 52, 300, 52), 14.44),
        (Counts(3600, 51, 300, 51), 0),
        # Over, by the short span: nobody needs to be woken any more.
        (Counts(3600, 300, 300, 0), 0),
        # Chance: two bad ones among few.
        (Counts(10, 2, 5, 2), 0),
        (Counts(10, 3, 5, 3), 300),
        (Counts(100, 50, 0, 0), 0),
    ],
)
def test_a_budget_burns_too_fast_when_it_does_so_over_both_spans_and_not_by_chance(
    counts: Counts, burn: float
) -> None:
    assert burns(PHOTOS, HOUR, counts) == pytest.approx(burn, abs=0.01)


def test_a_wedding_of_eight_hours_pages_after_a_tenth_of_its_29_seconds() -> None:
    five, hour = wedding_windows(timedelta(hours=8))
    assert (five.long, hour.long) == (timedelta(minutes=5), timedelta(hours=1))
    # One event a second: 2.9 s of outage within 5 minutes.
    assert burns(PHOTOS, five, Counts(300, 3, 60, 3))
    assert not burns(PHOTOS, five, Counts(300, 2, 60, 2))
    assert burns(PHOTOS, hour, Counts(3600, 8, 300, 1))
    assert not burns(PHOTOS, hour, Counts(3600, 7, 300, 1))


def test_what_takes_longer_or_failed_is_bad() -> None:
    values = np.array([0.1, 5.0, 5.1])
    photos = np.full(3, OBJECTIVES.index(PHOTOS))
    assert are_bad(photos, values, np.array([False, True, False])).tolist() == [False, True, True]


def test_a_budget_is_whole_at_first_and_can_be_overdrawn() -> None:
    assert [budget_left(PHOTOS, 0, 0), budget_left(PHOTOS, 1000, 1)] == [1, pytest.approx(0)]
    assert budget_left(PHOTOS, 1000, 2) == pytest.approx(-1)


def test_every_objective_has_a_kind_of_alert_and_a_series_of_its_own() -> None:
    assert {one.alert for one in OBJECTIVES} <= set(Kind)
    assert len({one.series for one in OBJECTIVES}) == len({one.name for one in OBJECTIVES}) == len(OBJECTIVES)
