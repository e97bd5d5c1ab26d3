"""Actions above the cap, which somebody approves or rejects."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.scaling.rules.actions import REJECTED, Action
from workers.scaling.rules.decision import Purpose, State
from workers.scaling.store.actions import FACTS, action, actions


class ProposalUnknown(ExpectedError):
    """no proposal {id} waits to be settled; `wedops scaling actions` lists what became of each"""

    http_status = 404


def settled(db: Connection, *, limit: int) -> list[Action]:
    """Return the proposals that were allowed, refused or over, the newest word first."""
    newest = func.coalesce(actions.c.settled_at, actions.c.created_at).desc()
    rows = db.execute(
        select(*FACTS).where(actions.c.settled_by.is_not(None)).order_by(newest, actions.c.id).limit(limit)
    )
    return [action(row) for row in rows]


def known(db: Connection, *, rejected_since: datetime | None = None) -> list[Action]:
    """Return what waits for somebody's approval, and what was allowed and is not over.

    Also what somebody rejected since.
    """
    open_ones: ColumnElement[bool] = actions.c.state.in_((State.PROPOSED, State.APPROVED))
    if rejected_since:
        settled = func.coalesce(actions.c.settled_at, actions.c.created_at)
        open_ones |= (actions.c.problem == REJECTED) & (settled >= rejected_since)
    rows = db.execute(
        select(*FACTS).where(actions.c.purpose == Purpose.ABOVE_CAP, open_ones).order_by(actions.c.id)
    )
    return [action(row) for row in rows]


def settle(
    db: Connection,
    id: int,
    state: State,
    *,
    by: str,
    at: Moment,
    until: datetime | None = None,
    problem: str | None = None,
) -> Action:
    """Approve (`until` a moment), reject or end a proposal.

    Raises ProposalUnknown when it is not to be settled so.
    """
    may = [State.PROPOSED] if state in (State.APPROVED, State.REJECTED) else [State.APPROVED]
    row = db.execute(
        update(actions)
        .where(actions.c.id == id, actions.c.purpose == Purpose.ABOVE_CAP, actions.c.state.in_(may))
        .values(
            state=state, settled_by=by, settled_at=at, problem=problem, **({"until": until} if until else {})
        )
        .returning(*FACTS)
    ).one_or_none()
    if row is None:
        raise ProposalUnknown(id=id)
    return action(row)


def raise_to(db: Connection, id: int, to: int, made_from: Mapping[str, Any]) -> None:
    """Have an open proposal be for as much as is needed now, and say from what.

    It is never lowered, and its id stays.
    """
    ours = (actions.c.id == id) & (actions.c.state == State.PROPOSED) & (actions.c.to_value < to)
    db.execute(update(actions).where(ours).values(to_value=to, inputs=made_from))
