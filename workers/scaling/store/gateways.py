"""What is published to a region's gateways, in Redis, and what they say they apply."""

from collections.abc import Iterable

from workers.connections.keys import CONFIRMED, DESIRED, DESIRED_CHANGED
from workers.foundation import redis
from workers.scaling.rules.actions import Action
from workers.scaling.rules.policy import Resource


def withdraw_desired(region: str) -> None:
    """Withdraw what was published to the region's gateways: somebody else reconciles it now."""
    if redis.connections().delete(DESIRED + region):
        redis.connections().publish(DESIRED_CHANGED, region)


def publish(
    region: str, wanted: Iterable[Action], *, connections_per_instance: int, lower: bool = True
) -> bool:
    """Tell the region's gateways, at once and for those who ask later; False when it was published already.

    Without `lower` no figure gets less than what was published before.
    """
    published = list(wanted)
    desired = {"action": max(action.id for action in published)} | {
        str(action.resource): action.to for action in published
    }
    if instances := desired.get(Resource.INSTANCES):
        desired["connection_limit"] = instances * connections_per_instance
    if not lower:
        before = dict(zip(desired, redis.connections().hmget(DESIRED + region, list(desired)), strict=True))
        desired = {name: max(value, _number(before[name])) for name, value in desired.items()}
    if redis.connections().hmget(DESIRED + region, list(desired)) == [
        str(value) for value in desired.values()
    ]:
        return False
    redis.connections().hset(DESIRED + region, mapping=desired)
    redis.connections().publish(DESIRED_CHANGED, region)
    return True


def published(region: str) -> dict[str, int]:
    """Return what was published to the region's gateways last.

    The newest `action`, and how much of each resource.
    """
    return {name: _number(value) for name, value in redis.connections().hgetall(DESIRED + region).items()}


def confirmed(region: str) -> int:
    """Return the newest action that a gateway of the region says it applies; 0 when none.

    Gateways write that themselves: what is no number, or above what was published, is not believed.
    """
    newest = _number(redis.connections().hget(DESIRED + region, "action"))
    confirmed = map(_number, redis.connections().hvals(CONFIRMED + region))
    return max((action for action in confirmed if action <= newest), default=0)


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else 0
