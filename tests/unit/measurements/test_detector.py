"""The detector: what it finds, what it keeps to itself, and that it goes on where it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from workers.measurements.rules.detector import STATE_BYTES, THRESHOLD, Detector, Tuning

Values = NDArray[np.float64]
STEP = 300.0


def _noise(points: int, series: int = 1, seed: int = 1) -> Values:
    return np.random.default_rng(seed).normal(size=(points, series))


def _scores(values: Values, detector: Detector | None = None, first: int = 0) -> NDArray[np.float32]:
    found = detector or Detector(values.shape[1])
    return np.array([found.step(STEP * (first + row), value) for row, value in enumerate(values)])


def _said(values: Values) -> list[int]:
    return np.flatnonzero(_scores(values[:, None])[:, 0] >= THRESHOLD).tolist()


def test_a_series_needs_no_more_than_384_bytes() -> None:
    assert STATE_BYTES <= 384
    assert Detector(7).pack().shape == (7, STATE_BYTES)


def test_scores_are_from_0_to_below_1() -> None:
    scores = _scores(np.random.default_rng(2).standard_cauchy((1500, 20)))
    assert scores.dtype == np.float32
    assert scores.min() >= 0
    assert scores.max() < 1


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 399), st.integers(0, 2**32), st.floats(0, 0.9))
def test_a_restart_changes_no_score(cut: int, seed: int, missing: float) -> None:
    values = _noise(400, 4, seed)
    values[np.random.default_rng(seed).random(values.shape) < missing] = np.nan
    tuning = Tuning(learned=20, kept=64)
    whole, before = Detector(4, tuning), Detector(4, tuning)
    expected = _scores(values, whole)
    _scores(values[:cut], before)
    after = Detector.unpack(before.pack().copy(), tuning)
    assert np.array_equal(_scores(values[cut:], after, cut), expected[cut:])
    assert np.array_equal(after.pack(), whole.pack())


@settings(max_examples=6, deadline=None)
@given(st.integers(2, 300), st.integers(0, 2**32))
def test_no_score_depends_on_what_comes_later(length: int, seed: int) -> None:
    values = _noise(300, 3, seed)
    assert np.array_equal(_scores(values[:length]), _scores(values)[:length])


def test_no_value_leaves_a_series_as_it_was() -> None:
    detector = Detector(3)
    _scores(_noise(200, 3), detector)
    before = detector.pack().copy()
    assert detector.step(0.0, np.array([np.nan, 1.0, np.inf]))[[0, 2]].tolist() == [0, 0]
    assert np.array_equal(detector.pack()[[0, 2]], before[[0, 2]])
    assert not np.array_equal(detector.pack()[1], before[1])
    unchanged = detector.pack().copy()
    assert not detector.step(0.0, np.full(3, np.nan)).any()
    assert np.array_equal(detector.pack(), unchanged)


def test_a_series_does_as_well_alone_late_and_beside_others() -> None:
    values = np.hstack((_noise(900, 2), 1e6 * _noise(900, 1, 3) ** 3))
    tuning = Tuning(learned=30, kept=200)
    beside = _scores(values, Detector(3, tuning))
    late = Detector(2, tuning)
    _scores(_noise(130, 2, 5), late)
    late.add(1)
    others = np.full((900, 2), np.nan)
    assert np.array_equal(_scores(values[:, 2:], Detector(1, tuning))[:, 0], beside[:, 2])
    assert np.array_equal(_scores(np.hstack((others, values[:, 2:])), late)[:, 2], beside[:, 2])


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.0, 1e12, 1e300])
def test_a_constant_never_scores(constant: float) -> None:
    assert not _scores(np.full((5000, 1), constant)).any()


def test_the_end_of_a_constant_is_found() -> None:
    values = np.full(1000, 3.0)
    values[900:] = 4.0
    assert _said(values)[0] == 900


def test_nothing_is_scored_while_a_series_is_learned() -> None:
    values = np.random.default_rng(2).standard_cauchy((60, 5))
    assert not _scores(values).any()


def test_noise_is_left_alone() -> None:
    scores = _scores(np.random.default_rng(3).uniform(size=(4000, 20)))
    assert (scores >= THRESHOLD).sum() < 4000 * 20 / 1000


def test_a_spike_is_found_at_once_and_told_once() -> None:
    values = _noise(1000)[:, 0]
    values[900] += 12
    assert [row for row in _said(values) if row >= 900] == [900]


def test_a_shift_of_level_is_found() -> None:
    values = _noise(1000)[:, 0]
    values[900:] += 3
    found = [row for row in _said(values) if row >= 900]
    assert 900 <= found[0] <= 920
    assert len(found) <= 3


def test_a_noisy_series_that_falls_silent_is_found() -> None:
    values = 100 + 5 * np.sin(np.arange(4000) / 3) + _noise(4000)[:, 0]
    values[3500:] = values[3499]
    assert 3500 < next(row for row in _said(values) if row >= 3500) < 3700


def test_a_daily_rhythm_is_usual_and_its_absence_is_not() -> None:
    day = np.repeat([0.0, 10.0, 0.0], 96)
    values = np.tile(day, 12) + 0.1 * _noise(12 * 288)[:, 0]
    assert len([row for row in _said(values) if row >= 288]) <= 5
    missing = slice(10 * 288, 11 * 288)
    values[missing] -= day
    assert any(missing.start + 96 <= row < missing.start + 192 for row in _said(values))


def test_what_comes_again_is_told_less_and_less() -> None:
    values = _noise(4000)[:, 0]
    values[500::100] += 10
    said = [row for row in _said(values) if row >= 500]
    assert said[0] == 500
    assert len(said) <= 12


@settings(max_examples=8, deadline=None)
@given(st.floats(-6, 6), st.floats(-1e3, 1e3))
def test_scale_and_offset_change_no_score(magnitude: float, offset: float) -> None:
    values = _noise(600, 3, 4)
    values[500:] += 4
    scaled = (values + offset) * 10**magnitude
    difference = np.abs(_scores(scaled) - _scores(values))
    # Rounding moves a point to the next cell now and then.
    assert np.quantile(difference, 0.98) < 1e-3
    assert np.array_equal(_scores(scaled).argmax(axis=0), _scores(values).argmax(axis=0))


def test_a_series_that_outgrows_its_unit_is_still_told_apart() -> None:
    values = _noise(4000)[:, 0]
    values[60:] *= 1e6
    values[3900] += 1.2e7
    assert 3900 in _said_with(values, Tuning(kept=300))


def _said_with(values: Values, tuning: Tuning) -> list[int]:
    scores = _scores(values[:, None], Detector(1, tuning))[:, 0]
    return np.flatnonzero(scores >= THRESHOLD).tolist()


def test_a_wild_value_does_not_deafen_for_ever() -> None:
    values = _noise(4000)[:, 0]
    values[1000], values[1001], values[2000] = 1e300, -1e300, 1e9
    assert 1000 in _said(values)
    assert np.isfinite(_scores(values[:, None])).all()


def test_a_wild_value_does_not_spoil_what_is_usual_at_its_hour() -> None:
    values = _noise(3000)[:, 0]
    values[1000] = 1e6
    calm = [row for row in _said(values) if row > 1000]
    assert len(calm) <= 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"learned": 1},
        {"learned": 5000},
        {"kept": 40_000},
        {"smoothed": 0.5},
        {"rate": 0.0},
        {"louder": 0.9},
        {"refractory": 0.0},
    ],
)
def test_a_tuning_that_cannot_work_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Tuning(**wrong)  # type: ignore[arg-type]
