"""Scaling actions as rows."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    FromClause,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    and_,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, distinct_on, insert

from workers.foundation.database import expires, metadata
from workers.foundation.event_log import Happening
from workers.foundation.moments import Moment
from workers.scaling.rules.actions import SCHEDULE, Action, Decided
from workers.scaling.rules.decision import Purpose, State
from workers.scaling.rules.policy import Resource


def _overtaken(table: FromClause, before: datetime) -> ColumnElement[bool]:
    """Tell the rows of before that may go.

    The newest of each kind says what there is, and stays; so does what somebody settled.
    """
    newest = select(func.max(actions.c.id)).group_by(actions.c.region, actions.c.resource, actions.c.purpose)
    unsettled = func.coalesce(table.c.settled_by, SCHEDULE) == SCHEDULE
    return and_(table.c.created_at < before, table.c.id.not_in(newest), unsettled)


actions = Table(
    "scaling_actions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("region", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("from_value", Integer, nullable=False),
    Column("to_value", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("inputs", JSONB, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("purpose", Text, nullable=False, server_default=Purpose.ACT),
    Column("state", Text, nullable=False),
    # One action may follow a given one: of two tasks that decide at once, or of one that runs twice, one
    # acts.
    Column("expected_previous_id", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("applied_at", DateTime(timezone=True)),
    Column("confirmed_at", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("problem", Text),
    #: Who settled a proposal, and until when what was allowed is.
    Column("settled_by", Text),
    Column("until", DateTime(timezone=True)),
    Column("settled_at", DateTime(timezone=True)),
    UniqueConstraint("region", "resource", "expected_previous_id"),
    info=expires(_overtaken),
)


Index("newest_action", actions.c.region, actions.c.resource, actions.c.id.desc())


_COLUMNS = {"before": "from_value", "to": "to_value"}
FACTS = [actions.c[_COLUMNS.get(name, name)].label(name) for name in Action.__dataclass_fields__]
_TYPES = {"resource": Resource, "state": State, "purpose": Purpose}


def action(row: Any) -> Action:
    return _action_of(dict(row._mapping))


def _action_of(facts: dict[str, Any]) -> Action:
    return Action(**facts | {name: kind(facts[name]) for name, kind in _TYPES.items()})


def newest(db: Connection, purposes: Collection[Purpose] = tuple(Purpose)) -> dict[tuple[str, str], Action]:
    """Return the newest action of each (region, resource), among those for `purposes`."""
    rows = db.execute(
        select(*FACTS)
        .where(actions.c.purpose.in_(purposes))
        .ext(distinct_on(actions.c.region, actions.c.resource))
        .order_by(actions.c.region, actions.c.resource, actions.c.id.desc())
    )
    return {(row.region, row.resource): action(row) for row in rows}


def latest(db: Connection) -> dict[tuple[str, str], Action]:
    """Return the last action of each (region, resource) that is to be applied: what there should be now.

    One that a decision followed while the region was only watched is not: somebody else saw to it since.
    """
    return {
        key: one
        for key, one in newest(db, [Purpose.ACT, Purpose.SHADOW]).items()
        if one.purpose is Purpose.ACT
    }


def recent(db: Connection, *, limit: int = 10) -> list[Action]:
    """Return the newest actions first."""
    return [action(row) for row in db.execute(select(*FACTS).order_by(actions.c.id.desc()).limit(limit))]


def find(db: Connection, id: int) -> tuple[Action, dict[str, Any]] | None:
    """Return an action and what it was made from."""
    row = db.execute(select(*FACTS, actions.c.inputs).where(actions.c.id == id)).one_or_none()
    if row is None:
        return None
    facts = dict(row._mapping)
    kept: dict[str, Any] = facts.pop("inputs")
    return _action_of(facts), kept


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return what was decided from a moment on, and what became of it."""
    rows = db.execute(
        select(*FACTS).where(actions.c.created_at >= since).order_by(actions.c.id.desc()).limit(limit)
    )
    return [
        Happening(
            one.created_at,
            f"{one.region}: {one.resource} {one.before} to {one.to} ({one.reason}): {one.state}",
            one.region,
        )
        for one in map(action, rows)
    ]


def during(db: Connection, region: str, resource: Resource, start: datetime, end: datetime) -> list[Action]:
    """Return the actions of a region in [start, end) and the last one before it, the oldest first."""
    ours = (
        (actions.c.region == region)
        & (actions.c.resource == resource)
        & (actions.c.purpose != Purpose.ABOVE_CAP)
    )
    before = select(func.max(actions.c.id)).where(ours, actions.c.created_at < start).scalar_subquery()
    query = ours & (actions.c.created_at < end) & ((actions.c.created_at >= start) | (actions.c.id == before))
    return [action(row) for row in db.execute(select(*FACTS).where(query).order_by(actions.c.id))]


def regions(db: Connection) -> list[str]:
    """Return the regions about which anything was ever decided."""
    return list(db.execute(select(actions.c.region).distinct().order_by(actions.c.region)).scalars())


def count(db: Connection) -> int:
    """Return how many actions there are."""
    return int(db.execute(select(func.count()).select_from(actions)).scalar_one())


def failed(db: Connection) -> list[Action]:
    """Return the actions that should be in effect and could not be applied."""
    return [action for action in latest(db).values() if action.state is State.FAILED]


def record(db: Connection, decided: Sequence[Decided]) -> list[int]:
    """Write decisions, at most one of a resource, approved if they are to be applied.

    Return their ids, 0 for one whose place another has taken.
    """
    if not decided:
        return []
    names = {"before": "from_value", "to": "to_value", "at": "created_at"}
    # In one order, so that two runs wait for each other instead of deadlocking.
    ordered = sorted(decided, key=lambda one: (one.region, one.resource))
    rows = [{names.get(name, name): value for name, value in vars(one).items()} for one in ordered]
    states = {Purpose.ACT: State.APPROVED}
    rows = [row | {"state": states.get(row["purpose"], State.PROPOSED)} for row in rows]
    key = actions.c.region, actions.c.resource
    written = db.execute(insert(actions).on_conflict_do_nothing().returning(actions.c.id, *key), rows)
    ids = {(row.region, row.resource): row.id for row in written}
    _overtake(
        db,
        [id for one in decided if one.purpose is Purpose.ACT and (id := ids.get((one.region, one.resource)))],
    )
    return [ids.get((one.region, one.resource), 0) for one in decided]


def _overtake(db: Connection, ids: Collection[int]) -> None:
    """Note that those before new actions that never got there have failed.

    Nobody will apply them any more.
    """
    newer = actions.alias("newer")
    same = (
        (newer.c.region == actions.c.region)
        & (newer.c.resource == actions.c.resource)
        & (newer.c.id > actions.c.id)
    )
    ours = (
        newer.c.id.in_(ids)
        & (actions.c.purpose == Purpose.ACT)
        & actions.c.state.in_((State.APPROVED, State.APPLIED))
    )
    db.execute(update(actions).where(same, ours).values(state=State.FAILED, problem="overtaken"))


def move(db: Connection, action: Action, state: State, *, at: Moment, problem: str | None = None) -> None:
    """Move an action on after a try, unless it was overtaken meanwhile; `problem` says what keeps it."""
    moments: dict[State, dict[str, Any]] = {
        State.APPLIED: {"applied_at": at},
        State.CONFIRMED: {"confirmed_at": func.coalesce(actions.c.confirmed_at, at)},
    }
    attempts = 0 if state is State.CONFIRMED else actions.c.attempts + 1
    changed = {"state": state, "problem": problem, "attempts": attempts, **moments.get(state, {})}
    db.execute(
        update(actions).where(actions.c.id == action.id, actions.c.state == action.state).values(**changed)
    )


def roll_back(db: Connection, id: int, *, problem: str) -> None:
    """Note that the action before one was undone by it."""
    one, before = actions.alias("one"), actions.alias("before")
    same = (
        (before.c.region == one.c.region)
        & (before.c.resource == one.c.resource)
        & (before.c.purpose == one.c.purpose)
    )
    undone = select(func.max(before.c.id)).where(one.c.id == id, same, before.c.id < id).scalar_subquery()
    db.execute(update(actions).where(actions.c.id == undone).values(state=State.ROLLED_BACK, problem=problem))


def rolled_back(db: Connection, *, since: datetime) -> dict[tuple[str, str], int]:
    """Return how many actions made since a moment were undone, by region and resource."""
    ours = (
        (actions.c.purpose == Purpose.ACT)
        & (actions.c.state == State.ROLLED_BACK)
        & (actions.c.created_at >= since)
    )
    key = actions.c.region, actions.c.resource
    return {
        (row[0], row[1]): row[2] for row in db.execute(select(*key, func.count()).where(ours).group_by(*key))
    }
