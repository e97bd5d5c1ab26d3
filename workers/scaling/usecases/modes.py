"""Which regions only watch, and what could not be applied of those that act."""

from collections.abc import Iterable

from sqlalchemy import Connection

from workers.foundation.moments import Moment
from workers.scaling.rules.orders import Mode, mode
from workers.scaling.rules.policy import Policy
from workers.scaling.store import orders
from workers.weddings.rules import EVERYWHERE
from workers.weddings.store import weddings


def in_shadow(db: Connection, policy: Policy, *, now: Moment, also: Iterable[str] = ()) -> list[str]:
    """Return the regions (and EVERYWHERE) whose decisions are not carried out; `also` looks at those that have no wedding."""
    given = orders.standing(db, at=now)
    regions = dict.fromkeys([*weddings.regions(db), EVERYWHERE, *given, *also])
    return [region for region in regions if mode(given.get(region, {}), policy) is Mode.SHADOW]
