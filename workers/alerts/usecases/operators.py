"""What people do with an alert: take it, put it off, reassign it. Each is written down with who and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from workers.alerts.rules.escalation import Paths
from workers.alerts.rules.lifecycle import AlertView, Reason, State
from workers.alerts.rules.muting import Silence
from workers.alerts.store import alerts as store
from workers.alerts.store import escalation, silences
from workers.foundation import settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.notify import usecases as notify
from workers.outbox import store as outbox
from workers.outbox.rules import Status
from workers.weddings.rules import calendar
from workers.weddings.rules.gate import Change
from workers.weddings.store import regions, weddings
from workers.weddings.usecases import gate


class NoPhase(ExpectedError):
    """no wedding that alert {alert_id} is about is near: there is no phase to wait for; say how long (`--for
    30m`)"""


@dataclass(frozen=True)
class Notified:
    """That somebody was to be notified of an alert at a step by a channel, and what became of the message."""

    recipient: str
    channel: str
    step: str
    status: Status


@dataclass(frozen=True)
class Shown:
    """An alert with all that became of it, the oldest first."""

    alert: AlertView
    changes: list[dict[str, Any]]
    notified: list[Notified]


def listing(db: Connection, *, ended: bool = False) -> list[AlertView]:
    """Return alerts, also those that have ended: those that hurt most people in the worst phase first."""
    return store.listed(db, limit=200, ended=ended)


def shown(db: Connection, alert_id: int) -> Shown:
    """Return all that became of an alert, and who was notified. Raises AlertUnknown."""
    alert, entries = store.find(db, alert_id), escalation.notified(db, alert_id)
    became = outbox.statuses(db, [one["message"] for one in entries])
    notified = [
        Notified(one["recipient"], one["channel"], one["step"], became[one["message"]]) for one in entries
    ]
    return Shown(alert, store.history(db, alert_id), notified)


def history(db: Connection, alert_id: int) -> tuple[AlertView, list[dict[str, Any]]]:
    """Return an alert and all that became of it, but for who was notified. Raises AlertUnknown."""
    return store.find(db, alert_id), store.history(db, alert_id)


def silence(db: Connection, lasts: timedelta, *, by: str, now: Moment, **facts: Any) -> int:
    """Have nobody notified of some alerts for a while.

    Return the silence's id. `facts` are the other fields of a Silence.
    """
    return silences.add(db, starts_at=now, ends_at=now + lasts, requested_by=by, **facts)


def silenced(db: Connection, *, now: Moment) -> list[Silence]:
    """Return the silences that hold, or will."""
    return silences.active(db, at=now)


def unsilence(db: Connection, silence_id: int, *, now: Moment) -> None:
    """End a silence now. Raises SilenceUnknown."""
    silences.end(db, silence_id, at=now)


def paths(db: Connection) -> Paths:
    """Return the escalation paths that hold."""
    return Paths(path=tuple(escalation.current(db)))


def load_paths(db: Connection, document: Paths, *, by: str, reason: str, now: Moment) -> None:
    """Have other escalation paths hold from now on. Raises GateClosed near weddings."""
    gate.require(db, Change.SETTINGS, now=now)
    escalation.replace(db, document, requested_by=by, reason=reason, at=now)


def acknowledge(db: Connection, alert_id: int, *, by: str, note: str, now: Moment) -> AlertView:
    """Take an alert: nobody else is notified. It fires again only if it gets worse. Raises AlertUnknown."""
    [alert] = store.hold(db, alert_id)
    values = {"state": State.ACKNOWLEDGED, "assigned_to": by, "snoozed_until": None}
    store.change(db, alert, Reason.ACKNOWLEDGED, values, at=now, by=by, note=note)
    return alert


def snooze(
    db: Connection, alert_id: int, until: datetime | None, *, by: str, note: str, now: Moment
) -> datetime:
    """Put an alert off until a moment, or to the end of the phase its people are in.

    Then it begins from the first step. Raises AlertUnknown, or NoPhase.
    """
    [alert] = store.hold(db, alert_id)
    until = until or _phase_ends(db, alert, now)
    values = {"state": State.FIRING, "snoozed_until": until}
    store.change(
        db, alert, Reason.SNOOZED, values, at=now, by=by, note=f"until {until.isoformat()} {note}".strip()
    )
    return until


def reassign(db: Connection, alert_id: int, *, to: str, by: str, note: str, now: Moment) -> AlertView:
    """Give an alert to somebody else, who is notified at once.

    The steps begin anew. Raises AlertUnknown, AddressMissing.
    """
    notify.require_address(db, to)
    [alert] = store.hold(db, alert_id)
    values = {
        "state": State.FIRING,
        "assigned_to": to,
        "escalates_from": now,
        "round": alert.round + 1,
        "notified_at": now,
    }
    store.change(
        db,
        alert,
        Reason.REASSIGNED,
        values | {"snoozed_until": None},
        at=now,
        by=by,
        note=f"to {to} {note}".strip(),
    )
    return alert


def _phase_ends(db: Connection, alert: AlertView, now: Moment) -> datetime:
    phases = settings.read(calendar.Policy)
    if alert.wedding_id:
        spans = [(one.starts_at, one.ends_at) for one in weddings.by_id(db, [alert.wedding_id])]
    else:
        near = regions.spans(db, now - phases.wind_down_lasts, now + phases.setup_before)
        spans = [(start, end) for region, start, end in near if alert.region in ("", region)]
    ends = [end for span in spans if (end := calendar.phase_ends(*span, phases, now=now))]
    if not ends:
        raise NoPhase(alert_id=alert.id)
    return min(ends)
