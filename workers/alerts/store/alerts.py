"""Alerts as rows, at most one that is not resolved for a fingerprint.

Every change beside it, with its reason.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
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
    Integer,
    RowMapping,
    Table,
    Text,
    any_,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from workers.alerts.formats import AlertChanged
from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import Alert, AlertView, Reason, State
from workers.foundation.database import expires, metadata
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.foundation.rows import plain
from workers.journal import store as journal

alerts = Table(
    "performance_alerts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("fingerprint", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("region", Text, nullable=False, server_default=""),
    Column("wedding_id", Text, nullable=False, server_default=""),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("detail", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    # Since when it was measured and not above its threshold.
    Column("calm_since", DateTime(timezone=True)),
    Column("worst", Text, nullable=False, server_default=""),
    Column("fired_at", DateTime(timezone=True)),
    Column("resolved_at", DateTime(timezone=True)),
    Column("flaps", Integer, nullable=False, server_default="0"),
    Column("escalates_from", DateTime(timezone=True)),
    Column("round", Integer, nullable=False, server_default="1"),
    Column("notified_at", DateTime(timezone=True)),
    Column("end_notified_at", DateTime(timezone=True)),
    Column("snoozed_until", DateTime(timezone=True)),
    Column("assigned_to", Text, nullable=False, server_default=""),
    Column("muted", Text, nullable=False, server_default=""),
    Column("connected_users", Integer, nullable=False, server_default="0"),
    Column("rank", Float, nullable=False, server_default="0"),
    info=expires("resolved_at"),
)
Index(
    "one_alert_a_fingerprint",
    alerts.c.fingerprint,
    unique=True,
    postgresql_where=alerts.c.state != State.RESOLVED,
)

events = Table(
    "alert_changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", BigInteger, ForeignKey(alerts.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("at", DateTime(timezone=True), nullable=False),
)

_VIEW = [alerts.c[name] for name in AlertView.__dataclass_fields__]


_WEIGH = """
    UPDATE performance_alerts a SET connected_users = r.users, rank = r.rank
    FROM unnest(cast(:ids AS bigint[]), cast(:users AS int[]), cast(:ranks AS float8[]))
        AS r (id, users, rank)
    WHERE a.id = r.id AND (a.connected_users, a.rank) IS DISTINCT FROM (r.users, r.rank)
"""


class AlertUnknown(ExpectedError):
    """alert {alert_id} is not active; `wedops alerts list` shows those that are"""

    http_status = 404


def unresolved(db: Connection) -> list[Alert]:
    """Return the alerts that are not resolved, held by this transaction: two checks at once take turns."""
    facts = [alerts.c[name] for name in Alert.__dataclass_fields__]
    rows = db.execute(
        select(*facts).where(alerts.c.state != State.RESOLVED).order_by(alerts.c.id).with_for_update()
    )
    return [_alert(row) for row in rows.mappings()]


def _alert(row: RowMapping) -> Alert:
    kinds = {"severity": Severity(row["severity"]), "state": State(row["state"])}
    return Alert(**dict(row) | kinds | {"worst": Severity(row["worst"] or row["severity"])})


def listed(db: Connection, *, limit: int | None = 20, ended: bool = True) -> list[AlertView]:
    """Return alerts as an operator reads them.

    Those that are not resolved first, by rank, then the newest.
    """
    order = alerts.c.resolved_at.is_not(None), alerts.c.rank.desc(), alerts.c.id.desc()
    query = select(*_VIEW).order_by(*order).limit(limit)
    rows = db.execute(query if ended else query.where(alerts.c.state != State.RESOLVED))
    return [_view(row) for row in rows.mappings()]


def hold(db: Connection, alert_id: int | None = None, *, wait: bool = True) -> list[AlertView]:
    """Return the alerts that are not resolved (or that one), held by this transaction.

    Raises AlertUnknown; without `wait` also for one that somebody else holds.
    """
    query = select(*_VIEW).where(alerts.c.state != State.RESOLVED).order_by(alerts.c.id)
    query = query.with_for_update(skip_locked=not wait)
    if alert_id is not None:
        query = query.where(alerts.c.id == alert_id)
    found = [_view(row) for row in db.execute(query).mappings()]
    if alert_id is not None and not found:
        raise AlertUnknown(alert_id=alert_id)
    return found


def find(db: Connection, alert_id: int) -> AlertView:
    """Return an alert, also one that has ended; raises AlertUnknown."""
    row = db.execute(select(*_VIEW).where(alerts.c.id == alert_id)).mappings().one_or_none()
    if row is None:
        raise AlertUnknown(alert_id=alert_id)
    return _view(row)


def ended_unpublished(db: Connection) -> list[AlertView]:
    """Return the resolved alerts that people were notified of, and of whose end they were not; held."""
    due = (
        (alerts.c.state == State.RESOLVED)
        & alerts.c.notified_at.is_not(None)
        & alerts.c.end_notified_at.is_(None)
    )
    return [_view(row) for row in db.execute(select(*_VIEW).where(due).with_for_update()).mappings()]


def _view(row: RowMapping) -> AlertView:
    kinds = {"kind": Kind(row["kind"]), "severity": Severity(row["severity"]), "state": State(row["state"])}
    # A worker of the version before writes it so.
    muted = row["muted"].replace("explained by", "inhibited by")
    return AlertView(**dict(row) | kinds | {"muted": muted})


def count(db: Connection) -> int:
    """Return how many alerts ever fired."""
    return int(db.execute(select(func.count()).where(alerts.c.fired_at.is_not(None))).scalar_one())


def among(ids: Collection[int | None]) -> Any:
    return alerts.c.id == any_(literal(list(ids), ARRAY(BigInteger)))


def calm(db: Connection, alert_ids: Iterable[int], *, at: Moment) -> None:
    """Remember of alerts that they were measured and are not above their thresholds."""
    values = {"calm_since": func.coalesce(alerts.c.calm_since, at)}
    db.execute(update(alerts).where(among(list(alert_ids))).values(values))


def remember(
    db: Connection, rows: Iterable[tuple[int, str, str, str]], *, at: Moment, by: str = "", note: str = ""
) -> None:
    """Write (alert id, state, severity, reason) into the table of changes, and into the journal."""
    changed = [AlertChanged(*row) for row in rows]
    if changed:
        db.execute(events.insert(), [vars(one) | {"at": at, "by": by, "note": note} for one in changed])
        journal.append(db, changed, at=at)


def change(
    db: Connection,
    alert: AlertView,
    reason: Reason,
    values: Mapping[str, Any],
    *,
    at: Moment,
    by: str = "",
    note: str = "",
) -> None:
    """Set columns of an alert, and write down why."""
    db.execute(update(alerts).where(alerts.c.id == alert.id).values(values))
    remember(
        db, [(alert.id, values.get("state", alert.state), alert.severity, reason)], at=at, by=by, note=note
    )


def mute(db: Connection, muted_alerts: Sequence[tuple[AlertView, Reason, str]], *, at: Moment) -> None:
    """Remember why nobody is notified of these alerts."""
    for text_of, reason in sorted({(one[2], one[1]) for one in muted_alerts}):
        own = [alert for alert, why, text in muted_alerts if (text, why) == (text_of, reason)]
        db.execute(update(alerts).where(among([alert.id for alert in own])).values(muted=text_of))
        remember(db, [(alert.id, alert.state, alert.severity, reason) for alert in own], at=at, note=text_of)


def history(db: Connection, alert_id: int) -> list[dict[str, Any]]:
    """Return what changed of an alert, the oldest first."""
    query = select(events).where(events.c.alert_id == alert_id).order_by(events.c.id)
    return plain(db.execute(query))


def facts(db: Connection, alert_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """Return what alerts are about, by id; those that are forgotten are not there."""
    own = [
        alerts.c[name]
        for name in ("id", "kind", "subject", "region", "wedding_id", "detail", "connected_users", "rank")
    ]
    return {row["id"]: row for row in plain(db.execute(select(*own).where(among(alert_ids))))}


def weigh(db: Connection, ranks: Mapping[int, tuple[int, float]]) -> None:
    """Remember how many people each alert hurts now, and its rank."""
    if ranks:
        users, weights = zip(*ranks.values(), strict=True)
        db.execute(text(_WEIGH), {"ids": list(ranks), "users": list(users), "ranks": list(weights)})
