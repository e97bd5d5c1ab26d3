"""How long what is over is kept."""

from datetime import date

import pytest

from workers.retention import rules
from workers.retention.rules import Policy


@pytest.mark.parametrize("days", [0, 34, 36_501])
def test_nobody_may_forget_last_month(days: int) -> None:
    with pytest.raises(ValueError, match="keep_days must be from 35 to 36500"):
        Policy(keep_days=days)
    assert Policy().keep_days > 365


def test_days_past_retention_are_outdated() -> None:
    days = [date(2026, 9, 1), date(2026, 9, 10), date(2026, 10, 10)]
    assert rules.outdated(days, 30, today=date(2026, 10, 10)) == [date(2026, 9, 1)]
