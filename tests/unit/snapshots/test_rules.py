"""Percentiles of buckets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.snapshots import rules


def test_without_counts_there_is_no_quantile() -> None:
    assert rules.quantile({}, 0.95) is None


def test_a_quantile_is_linear_within_its_bucket() -> None:
    assert rules.quantile({100: 10}, 0.5) == 75.0
    assert rules.quantile({25: 9, 3000: 1}, 0.95) == 2500.0


@given(st.lists(st.floats(0, 30_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95]))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], q: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        bound = next(bound for bound in rules.BOUNDS if value <= bound)
        counts[bound] = counts.get(bound, 0) + 1
    true = float(np.quantile(values, q, method="inverted_cdf"))
    upper = next(bound for bound in rules.BOUNDS if true <= bound)
    lower = max((bound for bound in rules.BOUNDS if bound < upper), default=0)
    found = rules.quantile(counts, q)
    assert found is not None
    assert lower <= found <= upper


def test_keeping_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="keep_days must be from 1"):
        rules.Policy(keep_days=0)
