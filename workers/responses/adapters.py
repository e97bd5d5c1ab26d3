"""Doing and undoing: each action brings about a state, so that doing it twice is doing it once."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from workers.balancing import usecases as balancing
from workers.caching.usecases import peak
from workers.connections.rules import modes as modes_of
from workers.connections.rules.admission import UserType, shares
from workers.connections.store import modes, registry, shedding
from workers.connections.usecases import service as connections
from workers.foundation import redis, settings
from workers.foundation.moments import Moment
from workers.responses.keys import DRAINED, LEFT
from workers.responses.rules import SHEDS, Action, Policy, Response
from workers.scaling.rules.orders import Kind, Mode, Order
from workers.scaling.rules.policy import Policy as ScalingPolicy
from workers.scaling.store import orders
from workers.scaling.usecases import modes as region_modes
from workers.weddings.rules.calendar import EVERYWHERE

#: Who orders, in the tables that people order in too; what people ordered is left alone.
CALLER = "degradation"
#: What holds for a while only, so that nothing stays for ever if nobody is left to undo it.
FOR_A_WHILE = frozenset({Action.GROW_CACHE, Action.SCALE, Action.EMERGENCY_MODE, *SHEDS})
#: That a person ordered it, and for how many seconds that is heeded.
LEFT_FOR = 6 * 3600


@dataclass(frozen=True)
class Doing:
    """For which region and wedding something is done, from when on, and under which policy."""

    db: Connection
    region: str
    wedding_id: str
    policy: Policy
    now: Moment


def leave_to_operators(scope: str) -> None:
    """Leave emergency mode, as it is, to who orders it now: for some hours it is not ours to begin or end."""
    redis.registry().set(LEFT + scope, 1, ex=LEFT_FOR)


def reconcile(needed: Sequence[Response], policy: Policy, *, now: Moment) -> None:
    """Bring emergency mode, and what is left out, to what the rows say.

    A run may have died between the two, or Redis have lost it.
    """
    wanted = {_scope(one.wedding_id, one.region) for one in needed if one.action is Action.EMERGENCY_MODE}
    active = modes.active()
    for scope in [one.scope for one in active.values() if one.owner == CALLER and one.scope not in wanted]:
        connections.end_emergency_mode(scope, by=CALLER, now=now)
    for scope in wanted - active.keys():
        _begin_emergency_mode(scope, policy, now)
    needs = {(_scope(one.wedding_id, one.region), SHEDS[one.action]) for one in needed if one.action in SHEDS}
    shed = {(scope, feature) for scope, features in shedding.active().items() for feature in features}
    for scope, feature in shed - needs:
        connections.restore_feature(scope, feature, now=now)


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
    if region_modes.mode_of(doing.db, region, policy, now=doing.now) is Mode.SHADOW:
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
    try:
        peak.order(doing.policy.order_for, by=CALLER, key=f"peak/{CALLER}/{doing.now:%Y%m%dT%H%M%S}")
    except redis.UNREACHABLE:
        return "the cache does not answer"
    return _order(doing, EVERYWHERE) or "the cache gets all that it may have, and is in peak mode"


def _shrink_cache(doing: Doing) -> None:
    with suppress(*redis.UNREACHABLE):
        peak.end(now=doing.now, by=CALLER)
    _end_order(doing, EVERYWHERE)


def _scope(wedding_id: str, region: str) -> str:
    """Return where guests give way: at the wedding that has the trouble, else in its region."""
    return modes_of.scope(wedding_id, region)


def _begin_emergency_mode(scope: str, policy: Policy, now: Moment) -> str:
    active = modes.active().get(scope)
    if (active and active.owner != CALLER) or redis.registry().exists(LEFT + scope):
        return f"emergency mode of {scope} is as somebody ordered it"
    reason = "a degradation is critical"
    connections.begin_emergency_mode(scope, owner=CALLER, reason=reason, lasts=policy.order_for, now=now)
    return f"guests of {scope} give way"


def _end_emergency_mode(scope: str, now: Moment) -> None:
    active = modes.active().get(scope)
    if active and active.owner == CALLER:
        connections.end_emergency_mode(scope, by=CALLER, now=now)


def _shed(doing: Doing, action: Action) -> str:
    scope = _scope(doing.wedding_id, doing.region)
    connections.shed_feature(scope, SHEDS[action], lasts=doing.policy.order_for, now=doing.now)
    return f"{scope} goes on without {SHEDS[action]}"


def _restore(doing: Doing, action: Action) -> None:
    scope = _scope(doing.wedding_id, doing.region)
    connections.restore_feature(scope, SHEDS[action], now=doing.now)


def _drain(doing: Doing) -> str:
    nodes = balancing.nodes()
    own = [node for node in nodes if node.region == doing.region and not node.draining and not node.out]
    limits, emergency = registry.policy(), EVERYWHERE in modes.active()
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
    Action.GROW_CACHE: (_grow_cache, _shrink_cache),
    Action.EMERGENCY_MODE: (
        lambda doing: _begin_emergency_mode(_scope(doing.wedding_id, doing.region), doing.policy, doing.now),
        lambda doing: _end_emergency_mode(_scope(doing.wedding_id, doing.region), doing.now),
    ),
    Action.SCALE: (_scale, lambda doing: _end_order(doing, doing.region)),
    Action.DRAIN_REGION: (_drain, _fill_again),
    Action.WATCH: (lambda _doing: "it is watched", _nothing),
    **{action: (partial(_shed, action=action), partial(_restore, action=action)) for action in SHEDS},
}
