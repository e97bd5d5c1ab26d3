"""What the journal and who listens live get of an alert."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from workers.journal.rules import Entry, Event
from workers.notify.rules import safe

#: The longest detail: Supabase's smallest plan takes 256 kB a message, and a change is published in 2.
LINE = 500


@dataclass(frozen=True)
class AlertChanged(Event):
    """An alert began, changed its state or severity, was taken, muted …"""

    name: ClassVar = "alerts.changed"

    alert_id: int
    state: str
    severity: str
    reason: str


def broadcast(change: Entry, alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is broadcast of a change of an alert, of version 1: nothing secret, and short."""
    own = {name: change.body[name] for name in ("alert_id", "state", "severity", "reason")}
    about = {name: alert[name] for name in ("kind", "subject", "region", "wedding_id", "rank")}
    about |= {"people": alert["connected_users"], "detail": safe(alert["detail"], LINE)}
    return {"id": change.id, "at": change.at.isoformat()} | own | about
