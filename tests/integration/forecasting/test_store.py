"""Forecasts as rows."""

import numpy as np
import pytest

from tests.made import NOON, wedding
from workers.forecasting import rules, store
from workers.foundation import database
from workers.weddings.rules import Policy as Phases

pytestmark = pytest.mark.usefixtures("world")


def test_a_repeated_refresh_changes_nothing_and_a_new_calendar_does() -> None:
    made = rules.forecast("us-northeast", [wedding()], rules.Policy(), Phases(), starts_at=NOON)
    with database.transaction() as db:
        assert [store.record(db, [made], version=version, at=NOON) for version in (1, 1, 2)] == [1, 0, 1]
        assert store.count(db) == 2
        read = store.latest(db)["us-northeast"]
    assert read.starts_at == NOON
    assert np.allclose(read.quantiles["p90"], made.quantiles["p90"], atol=0.01)
    assert read.peak(NOON, NOON) == pytest.approx(made.peak(NOON, NOON), abs=0.01)
