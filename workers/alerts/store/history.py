"""What became of alerts, for the timeline."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from workers.alerts.rules.lifecycle import State
from workers.alerts.store.alerts import alerts, events
from workers.foundation.event_log import Happening
from workers.foundation.rows import plain


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


def between(db: Connection, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Return the alerts that fired and were active at some time in [start, end), the first first."""
    names = ("id", "kind", "region", "wedding_id", "worst", "fired_at", "resolved_at", "detail")
    active = (alerts.c.fired_at < end) & (alerts.c.resolved_at.is_(None) | (alerts.c.resolved_at >= start))
    query = select(*(alerts.c[name] for name in names)).where(active).order_by(alerts.c.fired_at)
    return plain(db.execute(query))
