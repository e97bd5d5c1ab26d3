"""What an event is. Pure."""

from dataclasses import dataclass
from typing import Any, ClassVar

from workers.foundation.moments import Moment


class Event:
    """Something that happened.

    A room's events are frozen dataclasses of ids and words, without secrets and personal data. What has
    changed its fields has another `version`; readers know the earlier ones.
    """

    #: `room.what_happened`.
    name: ClassVar[str]
    version: ClassVar[int] = 1


@dataclass(frozen=True)
class Entry:
    """An event as a reader gets it: where it stands (`tx`, `id`), when it happened, and its fields."""

    tx: int
    id: int
    at: Moment
    name: str
    version: int
    body: dict[str, Any]


@dataclass(frozen=True)
class Policy:
    """Events are kept for so many days; partitions are made so many days ahead."""

    prefix: ClassVar = "JOURNAL_"

    keep_days: int = 35
    ahead_days: int = 3

    def __post_init__(self) -> None:
        """Refuse to drop what a reader that was stopped over a weekend still has to read."""
        if not 4 <= self.keep_days <= 3_650:
            raise ValueError("keep_days must be from 4 to 3650")
        if not 1 <= self.ahead_days <= 30:
            raise ValueError("ahead_days must be from 1 to 30")
