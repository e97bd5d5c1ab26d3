"""Sketches of single values are read as what they are; the library merges the others."""

import numpy as np
import pytest
from datasketches import tdigest_double
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.measurements.store import sketches


def _joined(parts: list[np.ndarray]) -> tuple[bytes, np.ndarray]:
    serialized = [sketches.of_values(part) for part in parts]
    return b"".join(serialized), np.array([len(one) for one in serialized])


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 70), min_size=1, max_size=60), seed=st.integers(0, 2**32))
def test_values_of_sketches_of_any_sizes_are_read_back(sizes: list[int], seed: int) -> None:
    chance = np.random.default_rng(seed)
    parts = [chance.normal(size=size) for size in sizes]
    values = sketches._values(*_joined(parts))
    assert values is not None
    assert sorted(values) == sorted(np.concatenate(parts))


@pytest.mark.parametrize("sizes", [[6] * 60, [300] * 24, [1, 6, 300], [5_000, 1]])
def test_what_is_merged_has_all_weight_and_the_quantiles_of_all(sizes: list[int]) -> None:
    chance = np.random.default_rng(7)
    parts = [chance.lognormal(size=size) for size in sizes]
    whole, every = tdigest_double.deserialize(sketches.merged(*_joined(parts))), np.concatenate(parts)
    assert whole.get_total_weight() == len(every)
    assert (whole.get_min_value(), whole.get_max_value()) == (every.min(), every.max())
    for q in (0.5, 0.95, 0.99):
        assert abs((every <= whole.get_quantile(q)).mean() - q) < 0.04
