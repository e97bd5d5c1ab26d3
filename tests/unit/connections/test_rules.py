"""Shards, snapshots and service levels."""

from datetime import timedelta

import pytest

from tests.made import NOON
from workers.connections import rules
from workers.connections.rules import Share, UserType


def test_a_tenant_always_lives_in_the_same_shard() -> None:
    # crc32 as every language has it: `crc32("123456789")` is 0xCBF43926.
    assert rules.shard("123456789", 64) == f"wedops:{{{0xCBF43926 % 64}}}"


def test_a_snapshot_sums_the_shards_by_region() -> None:
    shares = [
        Share({"region:east": 2, "rt:east|guest": 2}, {"east|opened": 3, "east|rtt:100": 4, "east|messages": 9}, {"east": 1}),
        Share({"region:east": 1, "rt:east|couple": 1}, {"east|errors": 1, "west|swept": 2}, {}),
    ]
    east, north, west = rules.snapshots(shares, ["north"], at=NOON)
    assert (east.connections, east.opened, east.messages, east.errors, east.silent) == (3, 3, 9, 1, 1)
    assert east.by_user_type == {"couple": 1, "guest": 2}
    assert east.p95_ms == pytest.approx(97.5)
    assert (north.region, north.connections, north.p95_ms) == ("north", 0, None)
    assert west.swept == 2


def test_guests_wait_first_and_a_couple_never() -> None:
    calm, busy = rules.service_levels(busy=False), rules.service_levels(busy=True)
    assert busy[UserType.GUEST].batch_ms > calm[UserType.GUEST].batch_ms
    assert busy[UserType.COUPLE] == calm[UserType.COUPLE]


@pytest.mark.parametrize(
    "wrong",
    [{"shards": 0}, {"silent_after": timedelta(0)}, {"idle_after": timedelta(seconds=1)}, {"sweep_batch": 0}],
)
def test_a_policy_that_would_end_live_connections_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        rules.Policy(**wrong)  # type: ignore[arg-type]
