"""What people do with an alert: take it, put it off, hand it over. Each is written down with who and why."""

from datetime import datetime

from sqlalchemy import Connection

from workers.alerts.rules.lifecycle import Reason, Standing, State
from workers.alerts.store import alerts as store
from workers.foundation import settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.weddings import rules as calendar
from workers.weddings.store import weddings


class NoPhase(ExpectedError):
    """no wedding that alert {alert_id} is about is near: there is no phase to wait for; say how long (`--for 30m`)"""


def acknowledge(db: Connection, alert_id: int, *, by: str, note: str, now: Moment) -> Standing:
    """Take an alert: nobody else is told. It fires again only if it gets worse. Raises AlertUnknown."""
    [alert] = store.hold(db, alert_id)
    values = {"state": State.ACKNOWLEDGED, "assigned_to": by, "snoozed_until": None}
    store.change(db, alert, Reason.ACKNOWLEDGED, values, at=now, by=by, note=note)
    return alert


def snooze(db: Connection, alert_id: int, until: datetime | None, *, by: str, note: str, now: Moment) -> datetime:
    """Put an alert off until a moment, or to the end of the phase its people are in; then it begins from the first step.

    Raises AlertUnknown, or NoPhase.
    """
    [alert] = store.hold(db, alert_id)
    until = until or _phase_ends(db, alert, now)
    values = {"state": State.FIRING, "snoozed_until": until}
    store.change(db, alert, Reason.SNOOZED, values, at=now, by=by, note=f"until {until.isoformat()} {note}".strip())
    return until


def hand_over(db: Connection, alert_id: int, *, to: str, by: str, note: str, now: Moment) -> Standing:
    """Give an alert to somebody else, who is told at once; the steps begin anew. Raises AlertUnknown."""
    [alert] = store.hold(db, alert_id)
    values = {"state": State.FIRING, "assigned_to": to, "escalates_from": now, "round": alert.round + 1, "told_at": now}
    store.change(db, alert, Reason.HANDED_OVER, values | {"snoozed_until": None}, at=now, by=by, note=f"to {to} {note}".strip())
    return alert


def _phase_ends(db: Connection, alert: Standing, now: Moment) -> datetime:
    phases = settings.read(calendar.Policy)
    if alert.wedding_id:
        spans = [(one.starts_at, one.ends_at) for one in weddings.by_id(db, [alert.wedding_id])]
    else:
        near = weddings.spans(db, now - phases.wind_down_lasts, now + phases.setup_before)
        spans = [(start, end) for region, start, end in near if alert.region in ("", region)]
    ends = [end for span in spans if (end := calendar.phase_ends(*span, phases, now=now))]
    if not ends:
        raise NoPhase(alert_id=alert.id)
    return min(ends)
