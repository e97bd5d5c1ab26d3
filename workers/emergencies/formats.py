"""What other services may ask about an emergency, and what the journal gets of one."""

from dataclasses import dataclass
from typing import ClassVar

from workers.commands.rules.contract import WeddingCommand, register
from workers.emergencies.rules import EmergencyKind
from workers.journal.rules import Event
from workers.outbox.rules import Lane


@register
class OpenEmergency(WeddingCommand):
    """emergencies.open: open an emergency of a wedding and start its protocol."""

    task = "emergencies.open"
    lane = Lane.EMERGENCY

    kind: EmergencyKind


@dataclass(frozen=True)
class EmergencyChanged(Event):
    """Something happened in an emergency: it was opened, a step is due, completed, overdue …"""

    name: ClassVar = "emergencies.changed"

    emergency_id: int
    wedding_id: str
    what: str
    step: int | None
    by: str
    reason: str
