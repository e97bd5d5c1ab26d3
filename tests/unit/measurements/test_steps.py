"""Steps: what is said, when, and what is left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.measurements.rules.steps import STATE_BYTES, Steps, Tuning

TUNING = Tuning(learned=1000)
LEARNED = 1200


def noise(count: int, sweeps: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((sweeps, count)).astype(np.float32) + 50


def play(steps: Steps, values: np.ndarray, first: int = 0) -> np.ndarray:
    return np.array([steps.step(10.0 * (first + number), row) for number, row in enumerate(values)])


def learned(count: int, seed: int = 1) -> Steps:
    steps = Steps(count, TUNING)
    play(steps, noise(count, LEARNED, seed))
    return steps


@pytest.fixture(scope="module")
def kept() -> np.ndarray:
    return learned(100).pack()


@pytest.fixture
def steps(kept: np.ndarray) -> Steps:
    return Steps.unpack(kept, TUNING)


@pytest.mark.parametrize("size", [3, -3])
def test_a_step_is_said_once_within_nine_sweeps(steps: Steps, size: int) -> None:
    scores = play(steps, noise(100, 200, 2) + size, LEARNED)
    said = np.abs(scores) >= 1
    assert np.mean(said[:9].any(axis=0)) >= 0.94
    assert said.sum(axis=0).max() == 1
    assert (np.sign(scores[said]) == np.sign(size)).all()
    assert (steps.away == np.sign(size)).all()


def test_the_step_back_is_not_said_but_ends_the_absence(steps: Steps) -> None:
    play(steps, noise(100, 100, 2) + 5, LEARNED)
    assert not (np.abs(play(steps, noise(100, 100, 3), LEARNED + 100)) >= 1).any()
    assert not steps.away.any()


def test_noise_says_nothing(steps: Steps) -> None:
    assert np.abs(play(steps, noise(100, 2000, 4), LEARNED)).max() < 1


def test_one_wild_value_says_nothing(steps: Steps) -> None:
    values = noise(100, 20, 5)
    values[5] += 1e6
    assert np.abs(play(steps, values, LEARNED)).max() < 1


def test_nothing_is_said_before_enough_was_learned() -> None:
    values = noise(10, TUNING.learned, 6)
    values[500:] += 100
    assert not play(Steps(10, TUNING), values).any()


def test_constants_never_say_anything() -> None:
    values = np.tile(np.float32([0, 1, -7.3, 1e9, 1e-9]), (3000, 1))
    assert not play(Steps(5, TUNING), values).any()


def test_what_never_varied_may_step_too() -> None:
    steps = Steps(2, TUNING)
    play(steps, np.tile(np.float32([0, 200]), (LEARNED, 1)))
    scores = play(steps, np.tile(np.float32([5, 150]), (10, 1)), LEARNED)
    assert (np.abs(scores) >= 1).sum(axis=0).tolist() == [1, 1]


def test_a_restart_changes_no_score(steps: Steps) -> None:
    values = noise(100, 60, 7)
    values[20:] += 2
    other = Steps.unpack(steps.pack(), TUNING)
    before = play(steps, values[:30], LEARNED)
    again = play(other, values[:30], LEARNED)
    other = Steps.unpack(other.pack(), TUNING)
    after, same = play(steps, values[30:], LEARNED + 30), play(other, values[30:], LEARNED + 30)
    assert np.array_equal(before, again)
    assert np.array_equal(after, same)


def test_a_gap_leaves_a_series_as_it_was(steps: Steps) -> None:
    before = steps.pack()
    values = noise(100, 1, 8)[0]
    values[::2] = np.nan
    scores = steps.step(10.0 * LEARNED, values)
    assert np.array_equal(steps.pack()[::2], before[::2])
    assert not scores[::2].any()
    assert (steps.pack()[1::2] != before[1::2]).any(axis=1).all()


def test_after_a_long_gap_the_level_is_learned_anew(steps: Steps) -> None:
    assert np.abs(play(steps, noise(100, 300, 9) + 40, LEARNED + 360)).max() < 1


def test_a_deploy_that_was_announced_is_not_said(steps: Steps) -> None:
    values = noise(100, 300, 10)
    values[:, :50] += 40
    scores = [steps.step(10.0 * LEARNED, values[0], np.arange(50))]
    assert max(np.abs(scores).max(), np.abs(play(steps, values[1:], LEARNED + 1)).max()) < 1


@settings(max_examples=10, deadline=None)
@given(unit=st.sampled_from([1e-6, 0.01, 7.0, 1e6]), base=st.sampled_from([-500.0, 0.0, 500.0]))
def test_unit_and_base_change_no_score_by_much(unit: float, base: float) -> None:
    values = noise(10, LEARNED + 20, 11) - 50
    values[LEARNED:] += 3
    plain = play(Steps(10, TUNING), values)
    other = play(Steps(10, TUNING), (values.astype(float) + base) * unit)
    assert np.abs(plain - other).max() < 0.1


def test_series_may_be_added(steps: Steps) -> None:
    steps.add(3)
    scores = play(steps, noise(103, 10, 12), LEARNED)
    assert scores.shape == (10, 103)
    assert not scores[:, 100:].any()


def test_a_row_is_small() -> None:
    assert Steps(3, TUNING).pack().shape == (3, STATE_BYTES)
    assert STATE_BYTES <= 128
