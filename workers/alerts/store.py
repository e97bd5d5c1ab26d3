"""Alerts as rows, at most one that is not resolved for a fingerprint; every change beside it, with its reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Table,
    Text,
    func,
    select,
    update,
)

from workers.alerts.rules import Alert, Change, Severity, State
from workers.foundation.database import insert_once, metadata
from workers.notify import store as notify

alerts = Table(
    "performance_alerts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("detail", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("fired_at", DateTime(timezone=True)),
    Column("resolved_at", DateTime(timezone=True)),
)
Index("one_alert_a_fingerprint", alerts.c.fingerprint, unique=True, postgresql_where=alerts.c.state != State.RESOLVED)

events = Table(
    "alert_changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", BigInteger, ForeignKey(alerts.c.id), nullable=False),
    Column("state", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True)
class Standing:
    """An alert as an operator reads it."""

    id: int
    kind: str
    subject: str
    severity: Severity
    state: State
    detail: str
    since: datetime
    resolved_at: datetime | None


def unresolved(db: Connection) -> list[Alert]:
    """Return the alerts that are not resolved, held by this transaction: two checks at once take turns."""
    facts = [alerts.c[name] for name in Alert.__dataclass_fields__]
    rows = db.execute(select(*facts).where(alerts.c.state != State.RESOLVED).order_by(alerts.c.id).with_for_update())
    return [Alert(r.id, r.fingerprint, Severity(r.severity), State(r.state), r.since, r.seen_at) for r in rows]


def standing(db: Connection, *, most: int = 20) -> list[Standing]:
    """Return alerts as an operator reads them: those that are not resolved first, the newest first."""
    facts = [alerts.c[name] for name in Standing.__dataclass_fields__]
    order = alerts.c.resolved_at.is_not(None), alerts.c.id.desc()
    rows = db.execute(select(*facts).order_by(*order).limit(most))
    return [Standing(**dict(row._mapping) | {"severity": Severity(row.severity), "state": State(row.state)}) for row in rows]


def count(db: Connection) -> int:
    """Return how many alerts ever fired."""
    return int(db.execute(select(func.count()).where(alerts.c.fired_at.is_not(None))).scalar_one())


def carry_out(db: Connection, changes: Iterable[Change], *, at: datetime) -> list[Change]:
    """Write the changes, and what is to be told of them; return those that are told."""
    told = []
    for change in changes:
        alert_id = change.alert_id or _open(db, change, at)
        if alert_id is None:
            continue
        if change.alert_id:
            _move(db, change, at)
        if _tell(db, alert_id, change.state, at):
            told.append(change)
    return told


def _open(db: Connection, change: Change, at: datetime) -> int | None:
    breach = change.breach
    assert breach  # noqa: S101 - only a breach opens an alert
    fired_at = at if change.state is State.FIRING else None
    row = vars(breach) | {
        "fingerprint": breach.fingerprint, "state": change.state, "since": at, "seen_at": at, "fired_at": fired_at,
    }  # fmt: skip
    opened: int | None
    [opened] = insert_once(db, alerts, [row]) or [None]
    if opened:
        _remember(db, opened, change.state, breach.severity, change.reason, at)
    return opened


def _move(db: Connection, change: Change, at: datetime) -> None:
    before = db.execute(select(alerts.c.state, alerts.c.severity).where(alerts.c.id == change.alert_id)).one()
    values: dict[str, Any] = {"state": change.state}
    if change.breach:
        values |= {
            "severity": change.breach.severity,
            "value": change.breach.value,
            "detail": change.breach.detail,
            "seen_at": at,
        }
    if change.state is State.FIRING and before.state == State.PENDING:
        values["fired_at"] = at
    if change.state is State.RESOLVED:
        values["resolved_at"] = at
    db.execute(update(alerts).where(alerts.c.id == change.alert_id).values(**values))
    severity = change.breach.severity if change.breach else before.severity
    if (before.state, before.severity) != (change.state, severity):
        _remember(db, change.alert_id, change.state, severity, change.reason, at)


def _remember(db: Connection, alert_id: int | None, state: str, severity: str, reason: str, at: datetime) -> None:
    db.execute(events.insert().values(alert_id=alert_id, state=state, severity=severity, reason=reason, at=at))


def _tell(db: Connection, alert_id: int, state: State, at: datetime) -> bool:
    alert = db.execute(select(alerts).where(alerts.c.id == alert_id)).one()
    if alert.fired_at is None:
        return False
    key = f"alert/{alert_id}/{state}/{alert.severity}"
    title = f"{alert.severity} {state}: {alert.kind} {alert.subject}"
    body = f"{alert.detail}. See docs/runbooks/{alert.kind}.md"
    return notify.write(db, notify.Notification(key, title, body, alert.severity), at=at)
