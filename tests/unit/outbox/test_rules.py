"""Waits double and scatter; what failed too often is given up."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from workers.outbox.rules import DOUBLINGS, JITTER, Retry, backoff, is_given_up

RETRY = Retry(timedelta(seconds=8), lease=timedelta(seconds=10), attempts=60)


@given(st.integers(1, 10_000), st.text(max_size=50))
def test_each_wait_is_about_twice_the_one_before_up_to_the_longest(attempts: int, key: str) -> None:
    plain = timedelta(seconds=8) * 2 ** min(attempts - 1, DOUBLINGS)
    assert plain * (1 - JITTER) <= backoff(RETRY, attempts, key) <= plain * (1 + JITTER)
    assert backoff(RETRY, attempts, key) == backoff(RETRY, attempts, key)


def test_what_failed_together_is_not_tried_together_again() -> None:
    waits = {backoff(RETRY, 3, f"key-{number}") for number in range(100)}
    assert len(waits) == 100
    assert max(waits) - min(waits) > timedelta(seconds=10)


def test_it_is_given_up_after_the_last_attempt_or_never() -> None:
    assert [is_given_up(RETRY, attempts) for attempts in (59, 60, 61)] == [False, True, True]
    assert not is_given_up(Retry(timedelta(seconds=1), lease=timedelta(seconds=1)), 1_000_000)
