"""Steps that were taken, as rows.

What was done for which alert, the indicator before and after, and how it ended.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    and_,
    func,
    select,
    true,
    update,
)

from workers.alerts.rules.lifecycle import AlertView
from workers.foundation.database import metadata
from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once, plain
from workers.responses.rules import Action, Decision, Outcome, Response, Scope

#: Who takes steps when no person does.
PLAYBOOK = "playbook"

responses = Table(
    "degradation_responses",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", BigInteger, ForeignKey("performance_alerts.id", ondelete="CASCADE"), nullable=False),
    # A degradation that comes back while its alert is active is answered anew.
    Column("round", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("wedding_id", Text, nullable=False, server_default=""),
    Column("action", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("before", Float, nullable=False),
    Column("after", Float),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("measured_at", DateTime(timezone=True)),
    Column("undone_at", DateTime(timezone=True)),
    # A playbook, or who took it by hand.
    Column("by", Text, nullable=False, server_default=PLAYBOOK),
    UniqueConstraint("alert_id", "round", "number"),
)
_FACTS = [responses.c[name] for name in Response.__dataclass_fields__]


@dataclass(frozen=True)
class Taken:
    """A step as the timeline tells it."""

    alert_id: int
    number: int
    action: str
    reason: str
    outcome: str
    region: str
    at: Moment
    undone_at: Moment | None
    by: str


def active(db: Connection) -> dict[int, list[Response]]:
    """Return the steps that are not undone, by alert, in their order."""
    found: dict[int, list[Response]] = {}
    for step in _steps(db, true()):
        found.setdefault(step.alert_id, []).append(step)
    return found


def of_alert(db: Connection, alert_id: int) -> list[Response]:
    """Return the steps of an alert that are not undone, in their order."""
    return _steps(db, responses.c.alert_id == alert_id)


def _steps(db: Connection, those: ColumnElement[bool]) -> list[Response]:
    query = select(*_FACTS).where(responses.c.undone_at.is_(None), those).order_by(responses.c.id)
    return [
        Response(**dict(row) | {"action": Action(row["action"]), "outcome": Outcome(row["outcome"])})
        for row in db.execute(query).mappings()
    ]


def is_shared(db: Connection, step: Response, scope: Scope) -> bool:
    """Tell whether another step that is not undone needs the same state."""
    same = and_(*(responses.c[name] == value for name, value in vars(scope).items() if value is not None))
    others = responses.c.undone_at.is_(None) & (responses.c.id != step.id) & same
    query = select(responses.c.id).where(others, responses.c.outcome != Outcome.WORSE).limit(1)
    return db.execute(query).first() is not None


def take(
    db: Connection, alert: AlertView, decision: Decision, *, by: str = PLAYBOOK, at: Moment
) -> int | None:
    """Remember a step, once; return its id, None when it was taken before."""
    expires = select(func.coalesce(func.max(responses.c.round), 0)).where(
        responses.c.alert_id == alert.id, responses.c.undone_at.is_not(None)
    )
    row = {
        "alert_id": alert.id,
        "round": int(db.execute(expires).scalar_one()) + 1,
        "number": decision.number,
        "kind": alert.kind,
        "region": alert.region,
        "wedding_id": alert.wedding_id,
        "action": decision.take,
        "reason": decision.reason,
        "outcome": Outcome.ACTING,
        "before": alert.value,
        "at": at,
        "by": by,
    }
    new: list[int] = insert_once(db, responses, [row])
    return new[0] if new else None


def measure(db: Connection, step: Response, outcome: Outcome, after: float, *, at: Moment) -> None:
    """Remember what a step did to its indicator."""
    values = {"outcome": outcome, "after": after, "measured_at": at}
    db.execute(update(responses).where(responses.c.id == step.id).values(**values))


def undo(db: Connection, step: Response, *, at: Moment) -> None:
    """Remember that a step has ended; what it did to its indicator stays written."""
    db.execute(update(responses).where(responses.c.id == step.id).values(undone_at=at))


def history(db: Connection, *, limit: int = 50) -> list[dict[str, object]]:
    """Return what was done, the newest first."""
    return plain(db.execute(select(responses).order_by(responses.c.id.desc()).limit(limit)))


def since(db: Connection, moment: datetime, *, limit: int) -> list[Taken]:
    """Return the newest steps that were taken or undone from a moment on."""
    facts = [responses.c[name] for name in Taken.__dataclass_fields__]
    within = (responses.c.at >= moment) | (responses.c.undone_at >= moment)
    return [
        Taken(*row)
        for row in db.execute(select(*facts).where(within).order_by(responses.c.id.desc()).limit(limit))
    ]
