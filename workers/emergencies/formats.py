"""What other services may ask about an emergency."""

from workers.commands.rules.contract import WeddingCommand, register
from workers.emergencies.rules import EmergencyKind
from workers.outbox.rules import Lane


@register
class OpenEmergency(WeddingCommand):
    """emergencies.open: open an emergency of a wedding and start its protocol."""

    task = "emergencies.open"
    lane = Lane.EMERGENCY

    kind: EmergencyKind
