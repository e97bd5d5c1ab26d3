"""What has ended for how long goes. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar


@dataclass(frozen=True)
class Policy:
    """What has ended is kept for so many days; what is active, and what people ordered, for good."""

    prefix: ClassVar = "RETENTION_"

    keep_days: int = 400

    def __post_init__(self) -> None:
        """Refuse to forget what is still looked at: the last five weeks are."""
        if not 35 <= self.keep_days <= 36_500:
            raise ValueError("keep_days must be from 35 to 36500")


def partitions(ahead_days: int, *, today: date) -> list[date]:
    """Return the days that must have a partition: yesterday, today, and so many to come."""
    return [today + timedelta(days=days) for days in range(-1, ahead_days + 1)]


def outdated(days: Iterable[date], keep_days: int, *, today: date) -> list[date]:
    """Return the days whose partition may be dropped."""
    return [day for day in days if day < today - timedelta(days=keep_days)]
