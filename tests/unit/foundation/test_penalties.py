"""Who shows bad credentials waits, and nobody else."""

import pytest

from workers.foundation import clock, penalties
from workers.foundation.penalties import FREE, HELD_AT_ONCE, LONGEST, REMEMBERED, Penalties


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(clock, "stopwatch", lambda: now[0])
    return now


def test_the_first_are_answered_at_once_then_each_waits_twice_as_long(at: list[float]) -> None:
    found = Penalties()
    waits = []
    for _ in range(FREE + 8):
        waits.append(found.failed("a"))
        found.released("a")
    assert waits[:FREE] == [0.0] * FREE
    assert waits[FREE:] == [0.25, 0.5, 1.0, 2.0, 4.0, LONGEST, LONGEST, LONGEST]
    assert found.failed("b") == 0.0
    for _ in range(2_000):
        assert found.failed("a") == LONGEST
        found.released("a")


def test_it_is_forgotten_after_a_while(at: list[float]) -> None:
    found = Penalties()
    for _ in range(FREE + 3):
        found.failed("a")
        found.released("a")
    at[0] += penalties.FORGET + 1
    assert found.failed("a") == 0.0


def test_so_many_are_held_at_once_and_the_rest_are_sent_away(at: list[float]) -> None:
    found = Penalties()
    waits = [found.failed("a") for _ in range(FREE + HELD_AT_ONCE + 3)]
    assert waits.count(None) == 3
    found.released("a")
    assert found.failed("a") is not None


def test_it_remembers_so_many_addresses_and_no_more(at: list[float]) -> None:
    found = Penalties()
    for number in range(REMEMBERED + 10):
        found.failed(str(number))
    assert len(found._records) == REMEMBERED


def test_a_network_of_ipv6_is_one_line_and_so_is_an_address_of_ipv4_written_as_ipv6(at: list[float]) -> None:
    found = Penalties()
    for number in range(FREE):
        assert found.failed(f"2001:db8:1:2::{number:x}") == 0.0
    assert found.failed("2001:db8:1:2:ffff::9") == penalties.FIRST
    assert found.failed("2001:db8:1:3::1") == 0.0
    for _ in range(FREE):
        assert found.failed("192.0.2.7") == 0.0
    assert found.failed("::ffff:192.0.2.7") == penalties.FIRST
    assert found.failed("no address") == 0.0
