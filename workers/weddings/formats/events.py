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


@dataclass(frozen=True)
class WeddingChanged(Event):
    """A wedding came into the calendar, or something of it changed; `fields` are which."""

    name: ClassVar = "weddings.changed"

    wedding_id: str
    calendar_version: int
    fields: list[str]
    is_new: bool
    by: str


@dataclass(frozen=True)
class GateOverridden(Event):
    """Somebody opened the gate for a change though weddings are near; an empty region is all."""

    name: ClassVar = "weddings.gate_overridden"

    change: str
    region: str
    until: str
    by: str
    reason: str
