"""Scaling actions as rows, and the desired state that gateways obey and confirm."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Identity,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
    update,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import JSONB, distinct_on

from workers.foundation import redis
from workers.foundation.database import insert_once, metadata
from workers.scaling.rules import State

#: Where a gateway finds what its region should have, and where it says what it has.
DESIRED, CONFIRMED, TOLD = "wedops:desired:", "wedops:confirmed:", "wedops:desired"

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
    Column("asked_by", Text, nullable=False),
    Column("state", Text, nullable=False),
    # One action may follow a given one: of two tasks that decide at once, or of one that runs twice, one acts.
    Column("follows", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("applied_at", DateTime(timezone=True)),
    Column("confirmed_at", DateTime(timezone=True)),
    UniqueConstraint("region", "resource", "follows"),
)


@dataclass(frozen=True)
class Action:
    """An action as it was written; `to` is what the region should have since then."""

    id: int
    region: str
    resource: str
    before: int
    to: int
    reason: str
    state: State
    created_at: datetime
    asked_by: str


_FACTS = [
    actions.c[name]
    for name in (
        "id",
        "region",
        "resource",
        "from_value",
        "to_value",
        "reason",
        "state",
        "created_at",
        "asked_by",
    )
]


def latest(db: Connection) -> dict[tuple[str, str], Action]:
    """Return the last action of each (region, resource)."""
    rows = db.execute(
        select(*_FACTS)
        .ext(distinct_on(actions.c.region, actions.c.resource))
        .order_by(actions.c.region, actions.c.resource, actions.c.id.desc())
    )
    return {(row.region, row.resource): _action(row) for row in rows}


def recent(db: Connection, *, most: int = 10) -> list[Action]:
    """Return the newest actions first."""
    return [_action(row) for row in db.execute(select(*_FACTS).order_by(actions.c.id.desc()).limit(most))]


def count(db: Connection) -> int:
    """Return how many actions there are."""
    return int(db.execute(select(func.count()).select_from(actions)).scalar_one())


def _action(row: Any) -> Action:
    id, region, resource, before, to, reason, state, created_at, asked_by = row
    return Action(id, region, resource, before, to, reason, State(state), created_at, asked_by)


def record(
    db: Connection, *, follows: int, region: str, resource: str, before: int, to: int, reason: str,
    inputs: Mapping[str, Any], asked_by: str, at: datetime,
) -> bool:  # fmt: skip
    """Write an approved action after `follows`; False when another one already stands there."""
    row = {
        "region": region, "resource": resource, "from_value": before, "to_value": to, "reason": reason, "inputs": dict(inputs),
        "asked_by": asked_by, "state": State.APPROVED, "follows": follows, "created_at": at,
    }  # fmt: skip
    return bool(insert_once(db, actions, [row]))


def move(db: Connection, action: Action, state: State, *, at: datetime) -> None:
    """Move an action on; those before it that never got there have failed."""
    moment = {State.APPLIED: {"applied_at": at}, State.CONFIRMED: {"confirmed_at": at}}.get(state, {})
    db.execute(update(actions).where(actions.c.id == action.id).values(state=state, **moment))
    overtaken = (
        (actions.c.region == action.region)
        & (actions.c.resource == action.resource)
        & (actions.c.id < action.id)
        & actions.c.state.in_((State.APPROVED, State.APPLIED))
    )
    db.execute(update(actions).where(overtaken).values(state=State.FAILED))


def tell(action: Action, *, connection_limit: int) -> bool:
    """Tell the region's gateways, at once and for those who ask later; False when they were told already."""
    key, desired = (
        DESIRED + action.region,
        {"action": action.id, action.resource: action.to, "connection_limit": connection_limit},
    )
    if redis.connections().hmget(key, list(desired)) == [str(value) for value in desired.values()]:
        return False
    redis.connections().hset(key, mapping=desired)
    redis.connections().publish(TOLD, action.region)
    return True


def confirmed(region: str) -> int:
    """Return the newest action that a gateway of the region says it carries out; 0 when none."""
    return max((int(action) for action in redis.connections().hvals(CONFIRMED + region)), default=0)
