"""Which regions act and which only watch, what is to be applied there, and what could not be."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from workers.foundation.moments import Moment
from workers.scaling.adapters import actuators
from workers.scaling.rules.actions import Action
from workers.scaling.rules.orders import Kind, Mode, Order, mode
from workers.scaling.rules.policy import Policy, Resource
from workers.scaling.store import actions as store
from workers.scaling.store import orders
from workers.weddings.rules.calendar import EVERYWHERE
from workers.weddings.store import regions as calendar_regions


def mode_of(db: Connection, region: str, policy: Policy, *, now: Moment) -> Mode:
    """Return the mode that a region, or EVERYWHERE, is in."""
    return mode(orders.active(db, at=now).get(region, {}), policy)


def in_shadow(
    db: Connection, policy: Policy, given: Mapping[str, Mapping[Kind, Order]], *, also: Iterable[str] = ()
) -> list[str]:
    """Return the regions (and EVERYWHERE) whose decisions are not applied, by the orders that hold.

    `also` looks at those that have no wedding.
    """
    regions = dict.fromkeys([*calendar_regions.known(db), EVERYWHERE, *given, *also])
    return [region for region in regions if mode(given.get(region, {}), policy) is Mode.SHADOW]


def desired(db: Connection, region: str, resource: Resource, policy: Policy, *, now: Moment) -> int | None:
    """Return how much of a resource there should be; None where nothing is to be applied."""
    action = store.latest(db).get((region, resource))
    return action.to if action and mode_of(db, region, policy, now=now) is Mode.LIVE else None


def failed(db: Connection, policy: Policy, *, now: Moment) -> list[Action]:
    """Return the actions of live regions that should be in effect and could not be applied."""
    ours = [one for one in store.failed(db) if one.resource in actuators.managed()]
    watched = in_shadow(db, policy, orders.active(db, at=now), also=[one.region for one in ours])
    return [one for one in ours if one.region not in watched]
