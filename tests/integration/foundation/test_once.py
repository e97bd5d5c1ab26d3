"""Leases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.made import eventually
from workers.foundation import once

pytestmark = pytest.mark.usefixtures("world")

TTL = timedelta(seconds=5)


def test_one_holds_it_and_the_fence_grows_with_every_hold() -> None:
    first = once.take("job", token="a", ttl=TTL)
    assert first
    assert once.take("job", token="b", ttl=TTL) is None
    assert once.drop(first)
    second = once.take("job", token="b", ttl=TTL)
    assert second
    assert second.fence > first.fence


def test_the_same_token_gets_in_again() -> None:
    assert once.take("job", token="a", ttl=TTL)
    assert once.take("job", token="a", ttl=TTL)


def test_a_lease_that_ran_out_is_not_given_back_for_its_successor() -> None:
    old = once.take("job", token="a", ttl=timedelta(milliseconds=20))
    assert old
    assert eventually(lambda: once.take("job", token="b", ttl=TTL))
    assert not once.drop(old)
    assert once.take("job", token="c", ttl=TTL) is None


def test_of_many_at_once_one_gets_it() -> None:
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda number: once.take("job", token=str(number), ttl=TTL), range(32)))
    assert sum(lease is not None for lease in leases) == 1


def test_a_block_that_fails_gives_it_back() -> None:
    with pytest.raises(ZeroDivisionError), once.held("job", token="a", ttl=TTL):
        _ = 1 / 0
    assert once.take("job", token="b", ttl=TTL)
