"""For how long what is measured is kept."""

import pytest

from workers.measurements.rules.keeping import Policy, kept


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"points_keep_days": 1}, "points_keep_days must be 2 or more"),
        ({"minutes_keep_days": 0}, "must be 1 or more"),
        ({"days_keep_days": 10_001}, "days must be 10,000 at most"),
        ({"ahead_days": 61}, "ahead_days 60"),
    ],
)
def test_keeping_nothing_or_for_ever_is_refused(wrong: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Policy(**wrong)


def test_what_is_summed_up_is_kept_longer_than_what_it_is_made_of() -> None:
    days = kept(Policy())
    assert days["metric_points"] < days["metric_minutes"] < days["metric_hours"] < days["metric_days"]
