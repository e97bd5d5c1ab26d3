"""Doing and undoing: each action brings about a state, so that doing it twice is doing it once."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import Connection

from workers.balancing import usecases as balancing
from workers.connections.rules.admission import UserType, shares
from workers.connections.store import registry
from workers.connections.usecases import service as connections
from workers.foundation import redis, settings
from workers.foundation.moments import Moment
from workers.responses.keys import DRAINED, LEFT, OURS
from workers.responses.rules import Action, Policy
from workers.scaling.rules.orders import Kind, Mode, Order
from workers.scaling.rules.policy import Policy as ScalingPolicy
from workers.scaling.store import orders
from workers.scaling.usecases import modes
from workers.weddings.rules import EVERYWHERE

#: Who orders, in the tables that people order in too; what people ordered is left alone.
CALLER = "degradation"
#: What holds for a while only, so that nothing stays for ever if nobody is left to undo it.
FOR_A_WHILE = frozenset({Action.GROW_CACHE, Action.SCALE})
#: That a person ordered it, and for how many seconds that is heeded.
LEFT_FOR = 6 * 3600


@dataclass(frozen=True)
class Doing:
    """For which region something is done, from when on, and under which policy."""

    db: Connection
    region: str
    policy: Policy
    now: Moment


def leave_to_operators() -> None:
    """Leave emergency mode, as it is, to who orders it now: for some hours it is not ours to begin or end."""
    redis.registry().delete(OURS)
    redis.registry().set(LEFT, 1, ex=LEFT_FOR)


def reconcile(active: Collection[Action], *, now: Moment) -> None:
    """Bring emergency mode to what the rows say.

    A run may have died between the two, or Redis have lost it.
    """
    ours, needed = redis.registry().exists(OURS), Action.EMERGENCY_MODE in active
    if ours and not needed:
        _end_emergency_mode(now)
    elif needed and not registry.emergency_mode():
        _begin_emergency_mode(now)


def do(action: Action, doing: Doing) -> str:
    """Do it; return in words what was done."""
    return _DO[action][0](doing)


def undo(action: Action, doing: Doing) -> None:
    """Undo it; nothing where it was not done."""
    _DO[action][1](doing)


def _order(doing: Doing, region: str) -> str:
    """Order an emergency for a region, again while it holds.

    Return why not, where nobody would apply it.
    """
    policy = settings.read(ScalingPolicy)
    if modes.mode_of(doing.db, region, policy, now=doing.now) is Mode.SHADOW:
        return f"{region} only watches: nothing is scaled"
    active = orders.active(doing.db, at=doing.now).get(region, {}).get(Kind.EMERGENCY)
    if active and active.until and active.until - doing.now > doing.policy.order_for / 2:
        return ""
    if active is None or active.requested_by == CALLER:
        until, maximum = doing.now + doing.policy.order_for, policy.instances_max
        orders.give(doing.db, Order(region, Kind.EMERGENCY, "degradation", CALLER, doing.now, until, maximum))
    return ""


def _end_order(doing: Doing, region: str) -> None:
    active = orders.active(doing.db, at=doing.now).get(region, {}).get(Kind.EMERGENCY)
    if active and active.requested_by == CALLER:
        orders.end(doing.db, region, Kind.EMERGENCY, by=CALLER, at=doing.now)


def _scale(doing: Doing) -> str:
    if not doing.region:
        return "it is of no region: nothing is scaled"
    return _order(doing, doing.region) or f"{doing.region} gets all the instances that it may have"


def _grow_cache(doing: Doing) -> str:
    return _order(doing, EVERYWHERE) or "the cache gets all that it may have"


def _begin_emergency_mode(now: Moment) -> str:
    if registry.emergency_mode() or redis.registry().exists(LEFT):
        return "emergency mode is as somebody ordered it"
    redis.registry().set(OURS, 1)
    connections.set_emergency_mode(True, by=CALLER, now=now)
    return "guests give way"


def _end_emergency_mode(now: Moment) -> None:
    if redis.registry().exists(OURS):
        connections.set_emergency_mode(False, by=CALLER, now=now)
        redis.registry().delete(OURS)


def _drain(doing: Doing) -> str:
    nodes = balancing.nodes()
    own = [node for node in nodes if node.region == doing.region and not node.draining and not node.out]
    limits, emergency = registry.policy(), bool(registry.emergency_mode())
    share = shares(limits, emergency=emergency)[UserType.GUEST]
    others = [node for node in nodes if node.region != doing.region and node.usable]
    # What guests may fill: where they are refused nobody can be sent.
    room = sum(
        max(0, int(min(node.capacity, limits.pool_limit) * share) - node.connections) for node in others
    )
    users = sum(node.connections for node in own)
    if not own or room < users:
        return f"no other region has room for {users} people: nobody is moved"
    redis.registry().sadd(DRAINED + doing.region, *(node.name for node in own))
    for node in own:
        balancing.stop(node.name)
    return f"{users} people of {doing.region} go to other regions"


def _fill_again(doing: Doing) -> None:
    for name in redis.registry().smembers(DRAINED + doing.region):
        balancing.undrain(name)
    redis.registry().delete(DRAINED + doing.region)


def _nothing(_doing: Doing) -> None:
    return


_DO: dict[Action, tuple[Callable[[Doing], str], Callable[[Doing], None]]] = {
    Action.GROW_CACHE: (_grow_cache, lambda doing: _end_order(doing, EVERYWHERE)),
    Action.EMERGENCY_MODE: (
        lambda doing: _begin_emergency_mode(doing.now),
        lambda doing: _end_emergency_mode(doing.now),
    ),
    Action.SCALE: (_scale, lambda doing: _end_order(doing, doing.region)),
    Action.DRAIN_REGION: (_drain, _fill_again),
    Action.WATCH: (lambda _doing: "it is watched", _nothing),
}
