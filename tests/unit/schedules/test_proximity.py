"""How often a wedding is looked at."""

from datetime import timedelta

import pytest

from schedules.proximity import until_next_look
from tests.made import NOON

END = NOON + timedelta(hours=6)


@pytest.mark.parametrize(
    ("before", "pace"),
    [
        (timedelta(days=8), timedelta(minutes=15)),
        (timedelta(days=7), timedelta(minutes=5)),
        (timedelta(hours=25), timedelta(minutes=5)),
        (timedelta(hours=24), timedelta(minutes=1)),
        (timedelta(hours=4), timedelta(seconds=30)),
        (timedelta(hours=1), timedelta(seconds=10)),
        (timedelta(hours=-3), timedelta(seconds=10)),
        (timedelta(hours=-8, minutes=-59), timedelta(seconds=10)),
        (timedelta(hours=-9), None),
    ],
)
def test_the_pace_follows_the_time_to_the_start(before: timedelta, pace: timedelta | None) -> None:
    assert until_next_look(NOON, END, now=NOON - before) == pace
