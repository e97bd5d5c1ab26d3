"""What became of alerts, for the timeline."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from workers.alerts.rules.lifecycle import State
from workers.alerts.store.alerts import alerts, events
from workers.foundation.event_log import Happening


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return what became of alerts from a moment on, the newest `limit`.

    What only waits whether it lasts is left out.
    """
    own = [alerts.c[name] for name in ("id", "kind", "subject", "region", "wedding_id", "detail")]
    query = select(
        *own,
        *(events.c[name].label(f"change_{name}") for name in ("state", "severity", "reason", "by", "at")),
    )
    shown = (events.c.at >= since) & (events.c.state != State.PENDING)
    rows = db.execute(query.join_from(events, alerts).where(shown).order_by(events.c.id.desc()).limit(limit))
    return [_happening(row) for row in rows]


def _happening(row: Any) -> Happening:
    became = f"alert {row.id} {row.change_severity} {row.change_state} ({row.change_reason})"
    what = f"{became}: {row.kind} {row.subject}: {row.detail}"
    return Happening(row.change_at, what, row.region, row.wedding_id, row.change_by)
