"""Percentiles from bucket counts, and how long measurements are kept. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import ClassVar

from workers.foundation.moments import Moment

#: Upper bounds in milliseconds. The alert thresholds (2,000, 3,000, 5,000) are bounds, so none is blurred by a bucket.
BOUNDS = (25, 50, 100, 200, 350, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, 30_000)


@dataclass(frozen=True)
class Policy:
    """How long rows are kept, how many days ahead a partition is made, how long a snapshot says how things are."""

    prefix: ClassVar = "METRICS_"

    keep_days: int = 30
    points_keep_days: int = 7
    minutes_keep_days: int = 30
    hours_keep_days: int = 400
    days_keep_days: int = 1100
    ahead_days: int = 3
    fresh_for: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        """Refuse to keep nothing."""
        days = [value for name, value in vars(self).items() if name.endswith("_days")]
        if max(days) > 10_000 or self.ahead_days > 60 or self.fresh_for > timedelta(days=30):
            raise ValueError("days must be 10,000 at most, ahead_days 60, fresh_for 30d")
        if min(days) < 1:
            raise ValueError("keep_days, ahead_days and those of points, minutes, hours and days must be 1 or more")
        if self.points_keep_days < 2:
            raise ValueError("points_keep_days must be 2 or more: days are rolled up from what is kept")


@dataclass(frozen=True)
class Snapshot:
    """A region's connections at a moment. Rates are those since the snapshot before; None is `not measured`."""

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
    p50_ms: float | None = None
    p95_ms: float | None = None
    by_user_type: Mapping[str, int] = field(default_factory=dict)

    @property
    def error_rate(self) -> float | None:
        """Return errors a message, from 0 to 1; None without messages."""
        return self.errors / self.messages if self.messages else None


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


def partitions(policy: Policy, *, today: date) -> list[date]:
    """Return the days that must have a partition."""
    return [today + timedelta(days=days) for days in range(-1, policy.ahead_days + 1)]


def kept(policy: Policy) -> dict[str, int]:
    """Return for how many days each table keeps its partitions."""
    return {
        "connection_metrics": policy.keep_days,
        "metric_points": policy.points_keep_days,
        "metric_minutes": policy.minutes_keep_days,
        "metric_hours": policy.hours_keep_days,
        "metric_days": policy.days_keep_days,
        # The longest window that is asked of single events is 3 days; their sums are kept.
        "slo_events": 5,
        "wedding_slo_events": 3,
    }


def outdated(days: list[date], keep_days: int, *, today: date) -> list[date]:
    """Return the days whose partition may be dropped."""
    return [day for day in days if day < today - timedelta(days=keep_days)]
