"""The steps of emergencies as rows: whose, by when, how far."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from workers.emergencies.rules import Action, Step, StepState
from workers.emergencies.store.emergencies import emergencies
from workers.foundation.database import metadata
from workers.foundation.moments import Moment

steps = Table(
    "emergency_steps",
    metadata,
    Column("emergency_id", BigInteger, ForeignKey(emergencies.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("what", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    # What a worker of the version before writes has all of these, and is due at once.
    Column("state", Text, nullable=False, server_default="due"),
    Column("after", ARRAY(Integer), nullable=False, server_default="{}"),
    Column("mandatory", Boolean, nullable=False, server_default="true"),
    Column("action", JSONB),
    Column("note", Text, nullable=False, server_default=""),
    Column("settled_at", DateTime(timezone=True)),
    #: How many times somebody was notified that its deadline passed.
    Column("escalated", SmallInteger, nullable=False, server_default="0"),
)
Index("steps_by_deadline", steps.c.due_at, postgresql_where=steps.c.settled_at.is_(None))


@dataclass(frozen=True)
class Due:
    """A step of an emergency: what is to be done, by whom, by when, and how far it is."""

    emergency_id: int
    number: int
    what: str
    owner: str
    due_at: Moment
    state: StepState
    after: Sequence[int]
    mandatory: bool
    action: Action | None
    note: str
    settled_at: Moment | None
    escalated: int


_FACTS = [steps.c[name] for name in Due.__dataclass_fields__]


def _due(row: Any) -> Due:
    facts = dict(row._mapping)
    action = Action.model_validate(facts["action"]) if facts["action"] else None
    return Due(**facts | {"state": StepState(facts["state"]), "action": action})


def write(db: Connection, emergency_id: int, protocol: Sequence[Step], *, at: Moment) -> None:
    """Write the steps of an emergency that is opened: all of them wait."""
    rows = [
        {
            "emergency_id": emergency_id,
            "number": number,
            "what": one.what,
            "owner": one.owner,
            "due_at": at + one.within,
            "state": StepState.WAITING,
            "after": list(one.after),
            "mandatory": one.mandatory,
            "action": one.action.model_dump(mode="json") if one.action else None,
        }
        for number, one in enumerate(protocol, start=1)
    ]
    db.execute(steps.insert(), rows)


def of(db: Connection, emergency_ids: Collection[int]) -> dict[int, list[Due]]:
    """Return the steps of emergencies, by the emergency, in their order."""
    found: dict[int, list[Due]] = {id: [] for id in emergency_ids}
    query = select(*_FACTS).where(steps.c.emergency_id.in_(list(emergency_ids)))
    for row in db.execute(query.order_by(steps.c.emergency_id, steps.c.number)):
        found[row.emergency_id].append(_due(row))
    return found


def change(db: Connection, one: Due, **values: Any) -> None:
    """Change a step."""
    that = (steps.c.emergency_id == one.emergency_id) & (steps.c.number == one.number)
    db.execute(update(steps).where(that).values(**values))


def overdue(db: Connection, waits: Sequence[timedelta], *, now: Moment, limit: int) -> list[Due]:
    """Return steps whose deadline passed, and of which somebody is to be notified once more; held.

    `waits` are how long after the deadline, then after each other, somebody is.
    """
    open_ = steps.c.emergency_id.in_(select(emergencies.c.id).where(emergencies.c.state == "open"))
    after = [sum(waits[: count + 1], timedelta(0)) for count in range(len(waits))]
    late = [(steps.c.escalated == count) & (steps.c.due_at <= now - wait) for count, wait in enumerate(after)]
    query = select(*_FACTS).where(open_, steps.c.state.in_([StepState.DUE, StepState.STARTED]), or_(*late))
    held = query.order_by(steps.c.due_at).limit(limit).with_for_update(skip_locked=True)
    return [_due(row) for row in db.execute(held)]
