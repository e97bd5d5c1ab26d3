"""How much of each resource there should be. Pure: no clock, no Redis, no SQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from math import ceil, inf
from typing import Any

from workers.foundation.moments import Moment
from workers.scaling.rules.policy import Bounds, Policy, Resource


class Reason(StrEnum):
    """Why there is to be so much of it."""

    CEREMONY_AHEAD = "ceremony_ahead"
    FORECAST = "forecast"
    MAY_CLIMB = "may_climb"
    DEMAND = "demand"
    PRESSURE = "pressure"
    OVER_SCALED_IN = "over_scaled_in"
    EMERGENCY = "emergency"
    PEAK_SEASON = "peak_season"
    ABOVE_CAP = "above_cap"
    FEWER_EXPECTED = "fewer_expected"
    APPROVAL_ENDED = "approval_ended"
    ENOUGH = "enough"
    CEREMONY_RUNNING = "ceremony_running"
    COOLING_DOWN = "cooling_down"
    NOT_MEASURED = "not_measured"
    PAUSED = "paused"


class State(StrEnum):
    """What became of an action."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    APPLIED = "applied"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"


class Purpose(StrEnum):
    """What an action is for.

    To be applied, to be compared later (a region in shadow), to be allowed by somebody.
    """

    ACT = "act"
    SHADOW = "shadow"
    ABOVE_CAP = "above_cap"


#: A metric may be so far above its target before it counts, and makes for so much more at most: one swing is
#: no trend.
TOLERANCE, LEAP = 1.1, 1.5


@dataclass(frozen=True)
class Reading:
    """What was seen of a resource.

    `load` is None when nothing was measured lately, `expected` when not forecast. `upper` is what the load
    stays below until what is ordered now serves; None when too little is known. `pressure` is the highest of
    what is measured over its target. `frozen_until` is when the last wedding ends that runs or starts within
    the lead; `changed_at` the last action's moment.
    """

    region: str
    has: int
    load: float | None
    expected: float | None
    resource: Resource = Resource.INSTANCES
    upper: float | None = None
    #: Not all of it was measured and forecast: there may be more.
    partly: bool = False
    #: There is something to learn its `upper` from, and that was not done yet.
    unlearned: bool = False
    #: The real system did not say how much it has.
    unasked: bool = False
    #: What the forecast says of the lead, by quantile, and the margin that `expected` has over its p90: for
    #: who asks why.
    quantiles: Mapping[str, float] = field(default_factory=dict)
    margin: float = 1.0
    #: By which fit `upper` is what it is.
    fit: str = ""
    pressure: float = 0.0
    ceremony_ahead: bool = False
    frozen_until: Moment | None = None
    changed_at: Moment | None = None
    #: What there was before the last action, if that took some away less than `shrink_after` ago.
    shrunk_from: int = 0
    #: How often that had to be given back in the last day: each time doubles what is waited for before the
    #: next.
    undone: int = 0
    #: The highest load of the last `shrink_after`.
    lately: float | None = None
    #: What the season wants at least.
    floor: int = 0
    #: Orders of people: no less, no more, and what an emergency wants at least.
    scale_in_suspended: bool = False
    scale_out_suspended: bool = False
    emergency: int = 0
    #: Up to how many somebody allowed, for now; and whether the time of what was allowed has ended.
    allowed: int = 0
    expired: bool = False
    #: Nothing of ours says how much there is: never acted, or not since it was only watched.
    unsure: bool = False
    shadow: bool = False
    #: The action that a new one would follow; 0 for the first.
    expected_previous_id: int = 0


@dataclass(frozen=True)
class Decision:
    """What there should be, and why; `beyond` is what it would be if the bounds let it, 0 when they do."""

    to: int
    reason: Reason
    beyond: int = 0


@dataclass(frozen=True)
class Bid:
    """What one fact alone asks for."""

    to: int
    reason: Reason


def decide(reading: Reading, policy: Policy, *, now: Moment) -> Decision:
    """Return how much of the resource there should be at `now`, and why."""
    reading, bounds = sound(reading), policy.bounds(reading.resource)
    # Of equals the first: what is seen or forecast says more than what may come.
    highest = max(bids(reading, policy, now=now), key=lambda one: one.to)
    wanted, reason, cap = highest.to, highest.reason, cap_of(reading, policy)
    beyond = min(wanted, bounds.ceiling) if wanted > cap < bounds.ceiling else 0
    to = min(wanted, cap)
    if reading.scale_out_suspended and to > reading.has:
        # Nobody may hold back what an emergency wants.
        to, reason = max(reading.has, min(reading.emergency, cap)), Reason.EMERGENCY
        if to == reading.has:
            return Decision(to, Reason.PAUSED, beyond)
    if to > reading.has:
        return Decision(to, reason, beyond)
    if to == reading.has:
        return Decision(to, Reason.ENOUGH, beyond)
    # One bad minute is no calm: what the last half hour needed stays.
    calm = max(to, min(cap, bounds.holding(reading.lately or 0.0, policy.utilisation)))
    # What strains so many would strain fewer the more.
    calm = max(
        calm, min(cap, Bounds(bounds.min, cap, 1.0, bounds.step).holding(reading.has * reading.pressure))
    )
    return Decision(*_shrink(reading, bounds.step, calm, cap, policy, now), beyond)


def allowed_cap(reading: Reading, policy: Policy) -> int:
    """Return the most that we may order: the policy's, or what somebody approved beyond it."""
    bounds = policy.bounds(reading.resource)
    return max(bounds.max, min(reading.allowed, bounds.ceiling))


def cap_of(reading: Reading, policy: Policy) -> int:
    """Return the most there may be now."""
    cap = allowed_cap(reading, policy)
    # Somebody gave it more than we would: it goes when nobody needs it, as all else.
    return cap if reading.expired else max(cap, reading.has)


def sound(reading: Reading) -> Reading:
    """Return the reading without figures that are none.

    What was measured or forecast wrongly is as good as not at all.
    """
    wrong: dict[str, Any] = {
        name: None
        for name in ("load", "expected", "upper", "lately")
        if (value := getattr(reading, name)) is not None and not 0 <= value < inf
    }
    if not 0 <= reading.pressure < inf:
        return replace(reading, pressure=0.0, **wrong)
    return replace(reading, **wrong) if wrong else reading


def bids(reading: Reading, policy: Policy, *, now: Moment) -> list[Bid]:
    """Return what each fact asks for, before the cap."""
    bounds, here, expected = policy.bounds(reading.resource), reading.load or 0.0, reading.expected or 0.0
    ahead = Reason.CEREMONY_AHEAD if reading.ceremony_ahead else Reason.FORECAST
    found = [
        Bid(
            bounds.holding(max(here, expected), policy.utilisation),
            ahead if expected > here else Reason.DEMAND,
        ),
        Bid(bounds.holding(reading.upper or 0.0), Reason.MAY_CLIMB),
        Bid(min(reading.floor, bounds.max), Reason.PEAK_SEASON),
        Bid(reading.emergency, Reason.EMERGENCY),
    ]
    if reading.pressure > TOLERANCE and reading.shrunk_from:
        # What strains since some was taken away needs that back, and now.
        found.append(Bid(min(reading.shrunk_from, allowed_cap(reading, policy)), Reason.OVER_SCALED_IN))
    # What was ordered last must have had the time to help, before the same strain orders more.
    settled = not reading.changed_at or now - reading.changed_at >= policy.boot + timedelta(minutes=1)
    if reading.pressure > TOLERANCE and settled:
        strained = reading.has * min(reading.pressure, LEAP)
        found.append(Bid(Bounds(bounds.min, bounds.max, 1.0, bounds.step).holding(strained), Reason.PRESSURE))
    return found


def gives_back(reading: Reading, decision: Decision, policy: Policy) -> bool:
    """Tell whether a decision undoes the last one, which took some away: as far as the cap lets it."""
    lost = min(reading.shrunk_from, allowed_cap(reading, policy))
    return decision.to >= lost > reading.has and reading.pressure > TOLERANCE


def holds(reading: Reading, policy: Policy, *, now: Moment) -> list[Reason]:
    """Return what keeps some from being taken away, the strongest first.

    Only that waits, a surge never queues behind it.
    """
    unknown = (
        reading.load is None
        or reading.expected is None
        or reading.partly
        or reading.unlearned
        or reading.unasked
    )
    held = [
        (reading.scale_in_suspended, Reason.PAUSED),
        (reading.frozen_until is not None and reading.frozen_until > now, Reason.CEREMONY_RUNNING),
        (reading.pressure > 1.0, Reason.PRESSURE),
        (unknown, Reason.NOT_MEASURED),
    ]
    if reading.has <= cap_of(reading, policy):
        patience = policy.shrink_after * 2 ** min(reading.undone, 5)
        held.append(
            (reading.changed_at is not None and now - reading.changed_at < patience, Reason.COOLING_DOWN)
        )
    return [reason for holding, reason in held if holding]


def _shrink(
    reading: Reading, step: int, to: int, cap: int, policy: Policy, now: Moment
) -> tuple[int, Reason]:
    if held := holds(reading, policy, now=now):
        return reading.has, held[0]
    if reading.has > cap:
        return cap, Reason.APPROVAL_ENDED
    if to >= reading.has:
        return reading.has, Reason.COOLING_DOWN
    # Who leaves one wedding may look at the next: half at a time.
    return max(to, ceil(reading.has / 2 / step) * step), Reason.FEWER_EXPECTED
