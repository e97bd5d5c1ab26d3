"""Times to live, and what a structure says."""

import pytest

from workers.caching.rules import Kind, Policy, Structure


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [(Kind.SUBSCRIPTION, 300), (Kind.USER, 600), (Kind.WEDDING, 120), (Kind.CONNECTION, 1800)],
)
def test_each_kind_has_its_time_to_live(kind: Kind, seconds: int) -> None:
    assert Policy().ttl(kind).total_seconds() == seconds


def test_nothing_read_has_no_hit_ratio() -> None:
    assert Structure(0, 0, 0, 0, 0, 0, 0).hit_ratio is None
    assert Structure(50, 100, 0, 0, 9, 1, 0).hit_ratio == 0.9
    assert Structure(50, 100, 0, 0, 9, 1, 0).pressure == 0.5
