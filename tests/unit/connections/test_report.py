"""What is said of a region's deliveries, of how long was counted, and of the users with the most messages."""

from datetime import timedelta

import pytest

from tests.made import NOON
from workers.connections.rules import report
from workers.connections.rules.report import HeavyUser, Share
from workers.foundation.moments import MachineMoment

EPOCH = int(NOON.timestamp())


def _heaviest(*connections: tuple[str, int, int, int], **how: int) -> list[HeavyUser]:
    return report.heaviest(connections, at=MachineMoment(NOON), **how)


def test_each_latency_is_read_from_its_own_buckets() -> None:
    counted = {
        "east|rtt:100": 4,
        "east|connect:200": 10,
        "east|delivery:50": 8,
        "east|delivery:500": 12,
        "west|delivery:30000": 1,
    }
    east, west = report.snapshots(report.add_up([Share({}, counted, {})]), [], at=NOON)
    # Linear within a bucket: from the bound below to its own.
    assert (east.p50_ms, east.p95_ms) == (75, 97.5)
    assert east.connect_p95_ms == 195
    assert east.delivery_p50_ms == pytest.approx(350 + 150 * 2 / 12)
    assert east.delivery_p95_ms == pytest.approx(350 + 150 * 11 / 12)
    assert (east.delivered, west.delivered) == (20, 1)
    assert (west.p50_ms, west.connect_p95_ms) == (None, None)


def test_a_row_holds_what_a_column_can() -> None:
    counted = {"east|delivery:50": 2**70, "east|bytes": 2**70, "east|batches": 7, "east|failed_batches": 2}
    [east] = report.snapshots(report.add_up([Share({}, counted, {})]), [], at=NOON)
    assert (east.delivered, east.bytes) == (2**62, 2**62)
    assert (east.batches, east.failed_batches, east.reused) == (7, 2, 0)


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([(1_000, 31_000)], 30.0),
        ([(1_000, 31_000), (1_000, 61_500), (5_000, 6_000)], 60.5),
        ([(1, 2)], 0.001),
        ([(0, 31_000)], 0.0),
        ([(31_000, 31_000)], 0.0),
        ([(31_000, 1_000)], 0.0),
        ([], 0.0),
    ],
)
def test_counters_were_counted_for_as_long_as_the_longest_shard_says(
    spans: list[tuple[int, int]], seconds: float
) -> None:
    shares = [Share({}, {report.SINCE: since, report.UNTIL: until}, {}) for since, until in spans]
    assert report.add_up(shares).seconds == seconds


@pytest.mark.parametrize("known", [{report.SINCE: 1_000}, {report.UNTIL: 1_000}, {}])
def test_half_a_span_is_none(known: dict[str, int]) -> None:
    assert report.add_up([Share({}, known, {})]).seconds == 0


def test_shards_are_added_up() -> None:
    share = Share({"subs:east": 2, "rt:east|guest": 3}, {"east|messages": 5}, {"east": 1})
    totals = report.add_up([share, share])
    [east] = report.snapshots(totals, [], at=NOON)
    assert (east.connections, east.subscriptions, east.messages, east.silent) == (6, 4, 10, 2)
    assert east.by_user_type == {"guest": 6}


def test_a_users_connections_are_added_up_and_the_busiest_come_first() -> None:
    found = _heaviest(
        ("t1/ann/c1", 30, 300, EPOCH - 10),
        ("t1/bob/c1", 100, 700, EPOCH - 50),
        ("t1/ann/c2", 90, 100, EPOCH - 60),
        ("t2/ann/c1", 100, 1, EPOCH - 100),
    )
    assert found == [
        HeavyUser("ann", "t1", 2, 120, 400, 2.0),
        HeavyUser("bob", "t1", 1, 100, 700, 2.0),
        HeavyUser("ann", "t2", 1, 100, 1, 1.0),
    ]


def test_users_with_as_many_messages_stand_in_the_order_of_their_names() -> None:
    found = _heaviest(*((f"{name}/c", 1, 1, EPOCH) for name in ("t2/ann", "t1/bob", "t1/ann")))
    assert [(one.tenant, one.user_id) for one in found] == [("t1", "ann"), ("t1", "bob"), ("t2", "ann")]


def test_ten_users_are_named_unless_another_number_is_asked_for() -> None:
    many = [(f"t/u{number:02}/c", number, 0, EPOCH) for number in range(12)]
    assert len(_heaviest(*many)) == 10
    assert [one.user_id for one in _heaviest(*many, limit=2)] == ["u11", "u10"]


def test_a_rate_needs_a_past() -> None:
    [new] = _heaviest(("t/ann/c", 30, 0, EPOCH))
    assert new.rate == 30, "of less than a second is not extrapolated"
    ahead = timedelta(seconds=-0.5)
    [slightly] = report.heaviest([("t/ann/c", 30, 0, EPOCH)], at=MachineMoment(NOON + ahead))
    assert slightly.rate == 30, "epoch seconds are whole"
    [later] = _heaviest(("t/ann/c", 30, 0, EPOCH + 1))
    assert later.rate is None
