"""What there is of each resource, what was decided and ordered, and what an actuator would do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from workers.foundation import redis, settings
from workers.foundation.errors import ExpectedError, error_code, safe_message
from workers.foundation.moments import Moment
from workers.scaling.adapters import actuators
from workers.scaling.rules.actions import Action
from workers.scaling.rules.decision import State
from workers.scaling.rules.orders import Kind, Order, mode
from workers.scaling.rules.policy import SHARED, Policy, Resource
from workers.scaling.store import actions as store
from workers.scaling.store import orders, proposals
from workers.scaling.usecases.scopes import require, scopes
from workers.weddings.rules.calendar import EVERYWHERE


@dataclass(frozen=True)
class Overview:
    """Each region's (and EVERYWHERE's) mode, orders, what there should be and is; what waits for approval."""

    regions: list[dict[str, Any]]
    proposals: list[Action]


class ActuatorFailed(ExpectedError):
    """the actuator failed: {problem}"""


def overview(db: Connection, *, now: Moment) -> Overview:
    """Return what there should be, what the real systems have, and which orders hold."""
    policy, latest, active = settings.read(Policy), store.latest(db), orders.active(db, at=now)
    rows = [_row(region, latest, active.get(region, {}), policy) for region in scopes(db)]
    return Overview(rows, proposals.known(db))


def _row(region: str, latest: Any, given: Mapping[Kind, Order], policy: Policy) -> dict[str, Any]:
    ours = [one for one in actuators.managed() if (one in SHARED) == (region == EVERYWHERE)]
    has = {str(resource): _found(latest.get((region, resource)), resource) for resource in ours}
    return {"region": region, "mode": str(mode(given, policy)), "has": has, "orders": list(given.values())}


def _found(action: Action | None, resource: Resource) -> dict[str, Any]:
    """Return what there should be, what each real system has, and why it can't be asked."""
    found: dict[str, Any] = {
        "wanted": action.to if action else None,
        "state": action.state if action else None,
    }
    try:
        seen = (
            {name: actuator.seen(action) for name, actuator in actuators.of(resource).items()}
            if action
            else {}
        )
    except redis.UNREACHABLE:
        raise
    except Exception as error:
        # A plug-in may raise anything; the other rows are shown.
        return found | {"seen": {}, "problem": safe_message(error) or error_code(error)}
    return found | {"seen": seen, "problem": None}


def recent(db: Connection, *, limit: int) -> list[Action]:
    """Return the newest actions first."""
    return store.recent(db, limit=limit)


def during(db: Connection, region: str, resource: Resource, start: datetime, end: datetime) -> list[Action]:
    """Return the actions of a region in [start, end) and the last one before it, the oldest first."""
    return store.during(db, region, resource, start, end)


def audit(db: Connection, *, limit: int) -> tuple[list[Order], list[Action]]:
    """Return the orders that people gave and the proposals that were settled, the newest first."""
    return orders.history(db, limit=limit), proposals.settled(db, limit=limit)


def dry_run(
    db: Connection, resource: Resource, region: str, to: int, *, by: str, now: Moment
) -> dict[str, tuple[Any, Any]]:
    """Return what each actuator of a resource has, and what it would do.

    Raises RegionUnknown, ActuatorFailed.
    """
    require(db, region)
    action = Action(0, region, resource, 0, to, "", State.PROPOSED, now, by)
    return {
        name: (_tried(actuator.seen, action), _tried(partial(actuator.apply, dry_run=True), action))
        for name, actuator in actuators.of(resource).items()
    }


def _tried(ask: Callable[[Action], object], action: Action) -> object:
    try:
        return ask(action)
    except ExpectedError:
        raise
    except Exception as error:
        raise ActuatorFailed(problem=f"{type(error).__name__}: {error}") from error
