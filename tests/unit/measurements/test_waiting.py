"""Good events that wait: written by five minutes when nobody looks, by half minutes when somebody does."""

import numpy as np

from workers.measurements.rules.waiting import COARSE, GRAIN, PIECE, PIECES, Waiting, sums

MINUTE = 60_000_000


def _waiting(*at: int, block: int) -> Waiting:
    waiting = Waiting(block=block).grown(2)
    np.add.at(waiting.good, (0, np.array(at) // PIECE % PIECES), 1)
    return waiting


def test_what_was_over_before_the_last_five_minutes_is_taken_out_as_one() -> None:
    waiting = _waiting(0, MINUTE, COARSE, block=1)
    assert waiting.take_over(1) == []
    assert waiting.take_over(2) == [(0, 0, 2, 0)]
    assert waiting.take_over(3) == [(0, COARSE, 1, 0)]
    assert not waiting.good.any()


def test_a_long_silence_leaves_nothing_behind() -> None:
    waiting = _waiting(0, COARSE, block=1)
    assert waiting.take_over(1_000) == [(0, 0, 1, 0), (0, COARSE, 1, 0)]


def test_what_is_counted_closely_is_taken_out_by_half_minutes() -> None:
    waiting = _waiting(0, 1, PIECE, COARSE, block=1)
    assert waiting.take_close(1, newest=COARSE) == []
    waiting.closely[0] = COARSE + 1
    assert waiting.take_close(1, newest=COARSE) == [(0, 0, 2, 0), (0, PIECE, 1, 0), (0, COARSE, 1, 0)]
    assert not waiting.good.any()


def test_what_grows_is_a_copy() -> None:
    waiting = _waiting(0, block=0)
    waiting.grown(3).good[0] = 9
    assert waiting.good.sum() == 1


def test_events_are_summed_by_key_and_grain() -> None:
    keys, grains = np.array([7, 7, 8, 7]), np.array([1, 1, 1, 2])
    assert sums(keys, grains, np.array([True, False, True, False])) == [
        (7, GRAIN, 2, 1),
        (7, 2 * GRAIN, 1, 0),
        (8, GRAIN, 1, 1),
    ]
    assert sums(np.empty(0, int), np.empty(0, int), np.empty(0, bool)) == []
