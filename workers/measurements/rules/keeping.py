"""For how long what is measured is kept. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Policy:
    """For how many days points and their sums are kept, and how many days ahead a partition is made."""

    prefix: ClassVar = "MEASUREMENTS_"
    formerly: ClassVar = "METRICS_"

    # Nobody reads them once their minute can't change any more: a late point is two days old at most.
    points_keep_days: int = 3
    minutes_keep_days: int = 30
    hours_keep_days: int = 400
    days_keep_days: int = 1100
    ahead_days: int = 3

    def __post_init__(self) -> None:
        """Refuse to keep nothing."""
        days = [value for name, value in vars(self).items() if name.endswith("_days")]
        if max(days) > 10_000 or self.ahead_days > 60:
            raise ValueError("days must be 10,000 at most, ahead_days 60")
        if min(days) < 1:
            raise ValueError("ahead_days and those of points, minutes, hours and days must be 1 or more")
        if self.points_keep_days < 2:
            raise ValueError("points_keep_days must be 2 or more: days are rolled up from what is kept")


def kept(policy: Policy) -> Mapping[str, int]:
    """Return for how many days each table keeps its partitions."""
    return {
        "metric_blocks": policy.points_keep_days,
        "metric_minute_pages": policy.minutes_keep_days,
        # The version before writes these two.
        "metric_points": policy.points_keep_days,
        "metric_minutes": policy.minutes_keep_days,
        "metric_hours": policy.hours_keep_days,
        "metric_days": policy.days_keep_days,
        # The longest window that is asked of single events is 3 days; their sums are kept.
        "slo_events": 5,
        "wedding_slo_events": 3,
    }
