"""What people order about capacity: which regions act, what is held, added at once, allowed. All is kept."""

from datetime import timedelta

from sqlalchemy import Connection

from workers.foundation import settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.scaling.rules.actions import REJECTED, Action
from workers.scaling.rules.decision import State
from workers.scaling.rules.orders import Kind, Mode, Order
from workers.scaling.rules.policy import Policy
from workers.scaling.store import orders, proposals
from workers.scaling.usecases import modes, scopes


class NoEmergency(ExpectedError):
    """{region} gets nothing by an emergency; name a region that acts (`wedops scaling live REGION --reason …`
    lets it)"""

    http_status = 409


class AboveCap(ExpectedError):
    """{cap} instances are the cap; SCALING_INSTANCES_MAX raises it"""

    http_status = 422


def order(
    db: Connection,
    region: str,
    kind: Kind,
    *,
    by: str,
    reason: str,
    now: Moment,
    lasts: timedelta | None = None,
    value: int = 0,
) -> Mode:
    """Give an order about a region, for a time or until it is ended.

    Return the mode that comes of it. Raises RegionUnknown.
    """
    scopes.require(db, region)
    orders.give(db, Order(region, kind, reason, by, now, now + lasts if lasts else None, value))
    return modes.mode_of(db, region, settings.read(Policy), now=now)


def resume(db: Connection, region: str, *, by: str, now: Moment) -> int:
    """End holds and the emergency of a region.

    Return how many orders ended. Whether it acts stays as it is.
    """
    scopes.require(db, region)
    kinds = (Kind.SUSPEND_SCALE_IN, Kind.SUSPEND_SCALE_OUT, Kind.EMERGENCY)
    return sum(orders.end(db, region, kind, by=by, at=now) for kind in kinds)


def declare_emergency(
    db: Connection, region: str, to: int | None, *, by: str, reason: str, now: Moment, lasts: timedelta
) -> tuple[int, int]:
    """Have a region get instances at once, as many as there may be without `to`.

    Return how many at least, and its cap. EVERYWHERE the cache gets all it may have. Raises RegionUnknown,
    NoEmergency for one that is only watched, AboveCap.
    """
    policy = settings.read(Policy)
    cap = policy.instances_max
    if modes.mode_of(db, region, policy, now=now) is Mode.SHADOW:
        raise NoEmergency(region=region)
    if to and to > cap:
        raise AboveCap(cap=cap)
    order(db, region, Kind.EMERGENCY, by=by, reason=reason, now=now, lasts=lasts, value=to or cap)
    return to or cap, cap


def approve(db: Connection, id: int, *, by: str, now: Moment, lasts: timedelta) -> Action:
    """Let a proposal above the cap be for a while; then it is undone by itself. Raises ProposalUnknown."""
    return proposals.settle(db, id, State.APPROVED, by=by, at=now, until=now + lasts)


def reject(db: Connection, id: int, *, by: str, now: Moment) -> Action:
    """Refuse a proposal above the cap. Raises ProposalUnknown."""
    return proposals.settle(db, id, State.REJECTED, by=by, at=now, problem=REJECTED)
