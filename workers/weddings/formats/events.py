"""What the journal gets of the calendar."""

from dataclasses import dataclass
from typing import ClassVar

from workers.journal.rules import Event


@dataclass(frozen=True)
class TimelineChanged(Event):
    """A wedding's timeline was changed alone."""

    name: ClassVar = "weddings.timeline_changed"

    wedding_id: str
    calendar_version: int
    moments: int
    by: str
