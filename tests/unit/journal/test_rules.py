"""The journal is kept for as long as a reader may be away."""

import pytest

from workers.journal.rules import Policy


@pytest.mark.parametrize(
    "wrong", [{"keep_days": 3}, {"keep_days": 4_000}, {"ahead_days": 0}, {"ahead_days": 31}]
)
def test_what_would_lose_events_or_make_too_many_partitions_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Policy(**wrong)
