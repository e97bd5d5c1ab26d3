"""What the journal gets of connections."""

from dataclasses import dataclass
from typing import ClassVar

from workers.journal.rules import Event

#: The reason of permits that were given back.
LIFTED = "lifted"


@dataclass(frozen=True)
class PermitsRevoked(Event):
    """Permits of a user, a wedding or a key were taken back, or with the reason `lifted` given back."""

    name: ClassVar = "connections.permits_revoked"

    whose: str
    id: str
    by: str
    reason: str
