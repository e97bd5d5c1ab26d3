"""What was decided and ordered so far of each resource."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from workers.foundation.moments import Moment
from workers.scaling.rules.actions import Action
from workers.scaling.rules.decision import Purpose, State
from workers.scaling.rules.orders import Kind, Mode, Order, mode
from workers.scaling.rules.policy import Policy, Resource
from workers.scaling.store import actions as store
from workers.scaling.store import orders, proposals
from workers.seasons import store as seasons
from workers.seasons.rules.season import Season
from workers.weddings.rules.calendar import EVERYWHERE


@dataclass(frozen=True)
class Ordered:
    """What was decided and ordered so far."""

    policy: Policy
    now: Moment
    newest: Mapping[tuple[str, str], Action]
    planned: Mapping[tuple[str, str], Action]
    orders: Mapping[str, Mapping[Kind, Order]]
    allowed: Mapping[tuple[str, str], int]
    #: Those whose time of being allowed more has ended, and who have it still.
    expired: frozenset[tuple[str, str]]
    #: How often something was taken away in the last day, and had to be given back.
    undone: Mapping[tuple[str, str], int]
    #: The regions whose peak season it is.
    busy: frozenset[str]

    def of(self, region: str, resource: Resource) -> dict[str, Any]:
        """Return a reading's facts about what was decided and ordered."""
        key, given = (region, resource), self.orders.get(region, {})
        shadow = mode(given, self.policy) is Mode.SHADOW
        last = self.planned.get(key)
        if last and last.purpose is Purpose.SHADOW and not shadow:
            # What was decided while it only watched was applied by nobody.
            last = None
        return {
            "region": region,
            "resource": resource,
            "has": last.to if last else self.policy.bounds(resource).min,
            "changed_at": last.created_at if last else None,
            "shrunk_from": self._shrunk_from(last),
            "undone": self.undone.get(key, 0),
            # Never acted, or not since it was only watched: somebody else saw to it.
            "unsure": last is None and not shadow,
            "expired": key in self.expired,
            "expected_previous_id": self.newest[key].id if key in self.newest else 0,
            "scale_in_suspended": Kind.SUSPEND_SCALE_IN in given,
            "scale_out_suspended": Kind.SUSPEND_SCALE_OUT in given,
            "emergency": self._emergency(given, region, resource),
            "floor": self.policy.peak_floor(resource) if self._busy(region) else 0,
            "allowed": self.allowed.get(key, 0),
            "shadow": shadow,
        }

    def _shrunk_from(self, last: Action | None) -> int:
        """Return what there was before the last action, if that scaled in shortly ago and was applied."""
        gone = (
            last
            and last.purpose is Purpose.ACT
            and last.to < last.before
            and last.state in (State.APPLIED, State.CONFIRMED)
        )
        return last.before if last and gone and self.now - last.created_at < self.policy.shrink_after else 0

    def left(self, regions: Collection[str]) -> list[str]:
        """Return the regions without a wedding that still have more than the minimum, or an emergency."""
        more = {
            region
            for (region, kind), one in self.planned.items()
            if one.to > self.policy.bounds(Resource(kind)).min
        }
        urgent = {region for region, given in self.orders.items() if Kind.EMERGENCY in given}
        return sorted((more | urgent) - {*regions, EVERYWHERE})

    def _emergency(self, given: Mapping[Kind, Order], region: str, resource: Resource) -> int:
        """Return what an emergency wants at least.

        Instances of a region; of what all share the whole cache.
        """
        if Kind.EMERGENCY not in given:
            return 0
        if resource is Resource.INSTANCES:
            return given[Kind.EMERGENCY].value
        return (
            self.policy.bounds(resource).max if region == EVERYWHERE and resource is Resource.CACHE_MB else 0
        )

    def _busy(self, region: str) -> bool:
        return bool(self.busy) if region == EVERYWHERE else region in self.busy


def ordered(db: Connection, policy: Policy, *, now: Moment) -> Ordered:
    """Return what was decided and ordered so far, for all regions."""
    approved = [one for one in proposals.known(db) if one.state is State.APPROVED]
    allowed: dict[tuple[str, str], int] = {
        (one.region, one.resource): one.to for one in approved if one.until and one.until > now
    }
    expired = frozenset((one.region, str(one.resource)) for one in approved if one.until and one.until <= now)
    busy = frozenset(region for region, season in seasons.current(db).items() if season is Season.PEAK)
    newest, planned = store.newest(db), store.newest(db, [Purpose.ACT, Purpose.SHADOW])
    undone = store.rolled_back(db, since=now - timedelta(days=1))
    return Ordered(policy, now, newest, planned, orders.active(db, at=now), allowed, expired, undone, busy)
