"""A region's connections at a moment, and percentiles from bucket counts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from workers.foundation.moments import Moment

#: Upper bounds in milliseconds. The alert thresholds (2,000, 3,000, 5,000) are bounds, so none is blurred by
#: a bucket.
BOUNDS = (25, 50, 100, 200, 350, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, 30_000)


@dataclass(frozen=True)
class Policy:
    """How long snapshots are kept, how many days ahead partitions are made, how long one is fresh."""

    prefix: ClassVar = "SNAPSHOTS_"
    formerly: ClassVar = "METRICS_"

    keep_days: int = 30
    ahead_days: int = 3
    fresh_for: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        """Refuse to keep nothing."""
        if not 1 <= self.keep_days <= 10_000 or not 1 <= self.ahead_days <= 60:
            raise ValueError("keep_days must be from 1 to 10,000, ahead_days from 1 to 60")
        if not timedelta(0) < self.fresh_for <= timedelta(days=30):
            raise ValueError("fresh_for must be above 0 and 30d at most")


@dataclass(frozen=True)
class Snapshot:
    """A region's connections at a moment.

    Rates are those since the snapshot before; None is `not measured`.
    """

    region: str
    at: Moment
    connections: int
    opened: int = 0
    closed: int = 0
    swept: int = 0
    silent: int = 0
    subscriptions: int = 0
    messages: int = 0
    errors: int = 0
    bytes: int = 0
    #: Requests that were answered with a connection that was open already.
    reused: int = 0
    #: Messages that subscriptions got.
    delivered: int = 0
    #: Writes of what was gathered for a recipient: all of them, and those of which something was lost.
    batches: int = 0
    failed_batches: int = 0
    #: For how long all this was counted, by the machine's clock; 0 is not known.
    seconds: float = 0.0
    #: Round trips.
    p50_ms: float | None = None
    p95_ms: float | None = None
    #: From the handshake's arrival until the connection is open.
    connect_p95_ms: float | None = None
    #: From the sender until the recipient.
    delivery_p50_ms: float | None = None
    delivery_p95_ms: float | None = None
    by_user_type: Mapping[str, int] = field(default_factory=dict)

    @property
    def error_rate(self) -> float | None:
        """Return errors a message, from 0 to 1; None without messages."""
        return self.errors / self.messages if self.messages else None

    def a_second(self, name: str) -> float | None:
        """Return a count a second; None when nobody knows for how long it was counted."""
        count: int = getattr(self, name)
        return count / self.seconds if self.seconds > 0 else None

    @property
    def reuse_rate(self) -> float | None:
        """Return the share, from 0 to 1, of accepted requests that needed no new connection.

        None without requests.
        """
        accepted = self.opened + self.reused
        return self.reused / accepted if accepted else None

    @property
    def channels_each(self) -> float | None:
        """Return subscriptions a connection; None without connections."""
        return self.subscriptions / self.connections if self.connections else None


def quantile(counts: Mapping[int, int], q: float) -> float | None:
    """Return the `q`-quantile in ms of counts by upper bound, linear within a bucket; None without counts.

    The method is Prometheus's histogram_quantile.
    """
    total = sum(counts.values())
    if not total:
        return None
    rank, below, lower = q * total, 0, 0
    for bound in BOUNDS:
        here = counts.get(bound, 0)
        if here and below + here >= rank:
            return lower + (bound - lower) * max(0.0, rank - below) / here
        below, lower = below + here, bound
    return float(BOUNDS[-1])
