"""How long what is over is kept."""

import pytest

from workers.retention.rules import Policy


@pytest.mark.parametrize("days", [0, 34, 36_501])
def test_nobody_may_forget_last_month(days: int) -> None:
    with pytest.raises(ValueError, match="keep_days must be from 35 to 36500"):
        Policy(keep_days=days)
    assert Policy().keep_days > 365
