"""How the regions' connections are: what is open, how fast, how much, and who is heaviest."""

from dataclasses import dataclass
from datetime import timedelta

from workers.connections.rules.report import HeavyUser
from workers.connections.usecases import upkeep
from workers.foundation import database
from workers.foundation.moments import MachineMoment, Moment
from workers.snapshots import store
from workers.snapshots.rules import Snapshot

#: A region whose last snapshot is older is not shown.
SHOWN_FOR = timedelta(days=1)


@dataclass(frozen=True)
class RegionTraffic:
    """A region's connections by its last snapshot. None is `not measured`, or not known for how long.

    Rates of deliveries and batches are None where no gateway observes them (`wedops_observe`).
    """

    region: str
    at: Moment
    connections: int
    subscriptions: int
    channels_each: float | None
    reuse_rate: float | None
    error_rate: float | None
    rtt_p50_ms: float | None
    rtt_p95_ms: float | None
    connect_p95_ms: float | None
    delivery_p50_ms: float | None
    delivery_p95_ms: float | None
    opened_per_second: float | None
    messages_per_second: float | None
    bytes_per_second: float | None
    delivered_per_second: float | None
    #: How often a subscription is updated.
    updates_each_per_second: float | None
    batches_per_second: float | None
    failed_batches_per_second: float | None


@dataclass(frozen=True)
class Overview:
    """Every region, and the users with the most messages now."""

    regions: list[RegionTraffic]
    heaviest: list[HeavyUser]


def overview(*, now: Moment, machine: MachineMoment) -> Overview:
    """Return how the connections of every region are, and who is heaviest."""
    return Overview(regions(now=now), upkeep.heaviest(machine=machine))


def regions(*, now: Moment) -> list[RegionTraffic]:
    """Return how the connections of every region are."""
    with database.transaction() as db:
        rows = store.latest(db, since=now - SHOWN_FOR)
    return [_region(row) for row in rows]


def _region(row: Snapshot) -> RegionTraffic:
    observed = bool(row.batches or row.delivered or row.connect_p95_ms is not None)
    delivered = row.a_second("delivered") if observed else None
    updates = None if delivered is None or not row.subscriptions else delivered / row.subscriptions
    return RegionTraffic(
        region=row.region,
        at=row.at,
        connections=row.connections,
        subscriptions=row.subscriptions,
        channels_each=row.channels_each,
        reuse_rate=row.reuse_rate,
        error_rate=row.error_rate,
        rtt_p50_ms=row.p50_ms,
        rtt_p95_ms=row.p95_ms,
        connect_p95_ms=row.connect_p95_ms,
        delivery_p50_ms=row.delivery_p50_ms,
        delivery_p95_ms=row.delivery_p95_ms,
        opened_per_second=row.a_second("opened"),
        messages_per_second=row.a_second("messages"),
        bytes_per_second=row.a_second("bytes"),
        delivered_per_second=delivered,
        updates_each_per_second=updates,
        batches_per_second=row.a_second("batches") if observed else None,
        failed_batches_per_second=row.a_second("failed_batches") if observed else None,
    )
