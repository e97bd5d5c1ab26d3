"""The world's clock."""

from datetime import UTC, datetime, timedelta

import pytest

from workers.foundation import clock


def test_a_world_runs_as_fast_as_it_says() -> None:
    world = clock.World(datetime(2026, 10, 10, tzinfo=UTC), 60, since=1000.0)
    assert world.at(1010.0) == datetime(2026, 10, 10, 0, 10, tzinfo=UTC)


def test_all_processes_share_it_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    world = clock.World(datetime(2026, 10, 10, tzinfo=UTC), 60, since=clock.epoch())
    monkeypatch.setenv(clock.VARIABLE, str(world))
    assert clock.world() == world
    assert timedelta(0) <= clock.now() - world.start < timedelta(hours=1)


def test_in_production_it_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(clock.VARIABLE, raising=False)
    assert abs(clock.now() - clock.machine_now()) < timedelta(seconds=5)


@pytest.mark.parametrize(
    "value", ["yesterday", "2026-10-10|60", "2026-10-10T00:00:00|60|1", "2026-10-10T00:00:00Z|fast|1"]
)
def test_a_bad_clock_says_how_to_write_one(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(clock.VARIABLE, value)
    with pytest.raises(clock.ClockInvalid, match="START|SPEED|SINCE"):
        clock.now()
