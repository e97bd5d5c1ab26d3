"""Escalation's memory: paths as data, when each group was published, who was notified of what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Identity,
    Table,
    Text,
    any_,
    delete,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from workers.alerts.rules.escalation import DEFAULT, Path, Paths
from workers.alerts.rules.lifecycle import AHEAD
from workers.alerts.store.alerts import alerts
from workers.foundation.database import metadata
from workers.foundation.moments import Moment
from workers.foundation.rows import plain

#: Every set of paths that ever held; the newest holds.
paths = Table(
    "escalation_paths",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)
groups = Table(
    "alert_groups",
    metadata,
    Column("name", Text, primary_key=True),
    Column("notified_at", DateTime(timezone=True), nullable=False),
)
#: One row says that somebody is notified of an alert at a step by a channel: there cannot be two.
entries = Table(
    "notification_log",
    metadata,
    Column("alert_id", BigInteger, ForeignKey(alerts.c.id, ondelete="CASCADE"), primary_key=True),
    Column("step", Text, primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("wedding_id", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("message", Text, nullable=False, index=True),
    Column("at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True, order=True)
class LogEntry:
    """That somebody was notified of an alert at a step by a channel."""

    alert_id: int
    step: str
    recipient: str
    wedding_id: str
    channel: str


_ENTRY = [entries.c[name] for name in LogEntry.__dataclass_fields__]


def current(db: Connection) -> Sequence[Path]:
    """Return the paths that hold."""
    row = db.execute(select(paths.c.document).order_by(paths.c.id.desc()).limit(1)).scalar_one_or_none()
    return (Paths.model_validate(row) if row else DEFAULT).path


def replace(db: Connection, document: Paths, *, requested_by: str, reason: str, at: Moment) -> None:
    """Have other paths hold from now on."""
    values = {
        "document": document.model_dump(mode="json", by_alias=True),
        "requested_by": requested_by,
        "reason": reason,
        "at": at,
    }
    db.execute(paths.insert().values(**values))


def last_published(db: Connection) -> dict[str, Moment]:
    """Return when each group that has alerts was published last."""
    return {row.name: row.notified_at for row in db.execute(select(groups))}


def note_published(db: Connection, names: Iterable[str], active: Iterable[str], *, at: Moment) -> None:
    """Remember that groups were published now; forget those in which nothing is active."""
    rows = [{"name": name, "notified_at": at} for name in sorted(set(names))]
    if rows:
        statement = insert(groups).values(rows)
        db.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"notified_at": at}))
    db.execute(delete(groups).where(groups.c.name.not_in(list(active))))


def published(db: Connection, alert_ids: Iterable[int]) -> set[LogEntry]:
    """Return who was notified of these alerts, at which steps."""
    query = select(*_ENTRY).where(entries.c.alert_id == any_(literal(list(alert_ids), ARRAY(BigInteger))))
    return {LogEntry(*row) for row in db.execute(query)}


def notified(db: Connection, alert_id: int) -> list[dict[str, Any]]:
    """Return who was to be notified of an alert at which step, by which message, in the order of time."""
    facts = [entries.c[name] for name in ("recipient", "channel", "step", "message")]
    query = select(*facts).where(entries.c.alert_id == alert_id).order_by(entries.c.at, entries.c.step)
    return plain(db.execute(query))


def note(db: Connection, new: Sequence[tuple[LogEntry, str]], *, at: Moment) -> None:
    """Remember who is notified by which message.

    A key that is there already breaks the transaction: it would be published twice.
    """
    if new:
        db.execute(entries.insert(), [vars(one) | {"message": message, "at": at} for one, message in new])


def mark(db: Connection, alert_ids: Iterable[int], *, at: Moment, column: str = "notified_at") -> None:
    """Remember that people were notified of alerts, or of their end."""
    db.execute(update(alerts).where(alerts.c.id.in_(list(alert_ids))).values({column: at}))


def stale_messages(db: Connection, waiting: Sequence[str]) -> list[str]:
    """Return those of the messages of which every alert is taken or over.

    Nobody needs to be woken by them.
    """
    statement = """
        SELECT n.message FROM notification_log n JOIN performance_alerts a ON a.id = n.alert_id
        WHERE n.message = ANY(:waiting) AND n.step <> 'end' GROUP BY n.message
        HAVING bool_and(a.state IN ('acknowledged', 'resolved'))
    """
    return list(db.execute(text(statement), {"waiting": list(waiting)}).scalars())


def correct_clocks(db: Connection, *, at: Moment) -> None:
    """Have what a clock that ran ahead began to escalate begin now."""
    ahead = alerts.c.escalates_from > at + AHEAD
    db.execute(update(alerts).where(ahead).values(escalates_from=at))
