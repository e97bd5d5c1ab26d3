"""The table against the figures that were asked for."""

import pytest

from schedules.table import TABLE
from schedules.words import DAY
from workers.seasons.rules.season import KindOfDay

ASKED = {
    "connections.sweep": (30, 30, 10),
    "connections.snapshot": (60, 30, 10),
    "caching.expire": (120, 120, 120),
    "caching.inspect": (600, 600, 600),
    "alerts.check": (60, 30, 10),
    "scaling.decide": (60, 60, 15),
    "forecasting.refresh": (3600, 1800, 600),
    "seasons.detect": (DAY, DAY, DAY),
    "alerts.watch": (30, 30, 10),
    "measurements.retain": (1800, 1800, 1800),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_job_keeps_the_pace_that_was_asked_for(name: str) -> None:
    [line] = [line for line in TABLE if line.name == name]
    assert tuple(line.pace(kind).every for kind in KindOfDay) == ASKED[name]


def test_every_job_stands_once_and_says_why() -> None:
    names = [line.name for line in TABLE]
    assert len(set(names)) == len(names)
    assert all(line.because for line in TABLE)


def test_no_job_is_slower_the_more_there_is_at_stake() -> None:
    for line in TABLE:
        assert line.ordinary.every >= line.season.every >= line.wedding_day.every
