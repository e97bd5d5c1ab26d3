"""How much of each resource there should be. Pure: no clock, no Redis, no SQL."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil, inf
from typing import Any

from workers.weddings.rules import EVERYWHERE as EVERYWHERE


class Reason(StrEnum):
    """Why there is to be so much of it."""

    CEREMONY_AHEAD = "ceremony_ahead"
    FORECAST = "forecast"
    MAY_CLIMB = "may_climb"
    DEMAND = "demand"
    PRESSURE = "pressure"
    TOOK_TOO_MUCH = "took_too_much"
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
    """What an action is for: to be carried out, to be compared later (a region in shadow), to be allowed by somebody."""

    ACT = "act"
    SHADOW = "shadow"
    ABOVE_CAP = "above_cap"


class Resource(StrEnum):
    """What there can be more or less of. The first two each region has, the others all regions share."""

    INSTANCES = "instances"
    CONNECTION_POOL = "connection_pool"
    DATABASE_CONNECTIONS = "database_connections"
    CACHE_MB = "cache_mb"
    WORKER_PROCESSES = "worker_processes"


SHARED = (Resource.DATABASE_CONNECTIONS, Resource.CACHE_MB, Resource.WORKER_PROCESSES)
#: A metric may be so far above its target before it counts, and makes for so much more at most: one swing is no trend.
TOLERANCE, LEAP = 1.1, 1.5


#: The outlook looks half a day ahead at most.
_LONGEST = {"boot": timedelta(hours=12)}


@dataclass(frozen=True)
class Bounds:
    """From `least` to `most`, in steps of `step`; one of it carries a load of `carries`. `ceiling` is what nobody may allow."""

    least: int
    most: int
    carries: float
    step: int = 1
    ceiling: int = 0

    def holding(self, load: float, share: float = 1.0) -> int:
        """Return how many carry `load` when a `share` of each is used; not bounded from above."""
        return max(self.least, ceil(load / (self.carries * share * self.step) - 1e-9) * self.step)


@dataclass(frozen=True)
class Policy:
    """Bounds 2-10 instances, 20-100 database connections, 256-1,024 MB of cache, pools up to 1,000; 70-75 % used is the aim.

    Capacity is there 2 h before a ceremony; `boot` is how long an instance takes until it serves. `instances_ceiling` is the
    most that an approval may allow, 0 for twice `instances_max`. `new_regions` only watch (`shadow`) until somebody lets them
    act (`live`).
    """

    instances_min: int = 2
    instances_max: int = 10
    instances_ceiling: int = 0
    #: In a region's peak season there is so much at least.
    instances_peak_min: int = 3
    cache_mb_peak_min: int = 512
    connections_per_instance: int = 1000
    connection_pool_min: int = 200
    connection_pool_max: int = 1000
    database_connections_min: int = 20
    database_connections_max: int = 100
    people_per_database_connection: int = 100
    cache_mb_min: int = 256
    cache_mb_max: int = 1024
    people_per_cache_mb: int = 20
    worker_processes_min: int = 2
    worker_processes_max: int = 8
    weddings_per_worker_process: int = 500
    utilisation: float = 0.72
    lead: timedelta = timedelta(hours=2)
    shrink_after: timedelta = timedelta(minutes=30)
    #: How long after its end a wedding's capacity stays: parties overrun.
    linger: timedelta = timedelta(hours=1)
    boot: timedelta = timedelta(minutes=2)
    #: What latency (95 % of round trips), processor, memory and the oldest task's wait should stay below.
    latency_ms: float = 500.0
    cpu: float = 0.75
    memory: float = 0.85
    queue_seconds: float = 5.0
    #: From so many people on a region's latency says something about the region.
    people_least: int = 20
    #: An action has failed when it was tried so often, and is so old.
    attempts_most: int = 6
    confirm_within: timedelta = timedelta(minutes=3)
    approval_within: timedelta = timedelta(hours=2)
    new_regions: str = "shadow"
    #: What the plan of the realtime service lets in at once, all regions together; 0 is no limit.
    plan_connections: int = 0
    plan_joins_per_second: int = 0

    def __post_init__(self) -> None:
        """Refuse bounds that leave nothing to choose."""
        for resource in Resource:
            least, most = getattr(self, f"{resource}_min"), getattr(self, f"{resource}_max")
            if not 1 <= least <= most:
                raise ValueError(f"{resource}_min must be from 1 to {resource}_max")
        if self.instances_ceiling and self.instances_ceiling < self.instances_max:
            raise ValueError("instances_ceiling must be instances_max or more, or 0 for twice as many")
        loads = (self.connections_per_instance, self.people_per_database_connection, self.people_per_cache_mb)
        if not 0 < self.utilisation <= 1 or min(*loads, self.weddings_per_worker_process) < 1:
            raise ValueError("utilisation must be above 0 and at most 1, connections_per_instance and the like 1 or more")
        if not min(self.latency_ms, self.cpu, self.memory, self.queue_seconds) > 0 or self.attempts_most < 1:
            raise ValueError("latency_ms, cpu, memory, queue_seconds and attempts_most must be above 0")
        if self.new_regions not in {"shadow", "live"}:
            raise ValueError("new_regions must be shadow or live")
        times = {name: value for name, value in vars(self).items() if isinstance(value, timedelta)}
        if wrong := [
            name for name, value in times.items() if not timedelta(0) <= value <= _LONGEST.get(name, timedelta(days=30))
        ]:
            raise ValueError(f"{wrong[0]} must be from 0s to {_LONGEST.get(wrong[0], timedelta(days=30))}")

    def bounds(self, resource: Resource) -> Bounds:
        """Return a resource's bounds; the load of worker processes is weddings, of a pool places, of all others people."""
        carries, step = {
            Resource.INSTANCES: (self.connections_per_instance, 1),
            Resource.CONNECTION_POOL: (1, 50),
            Resource.DATABASE_CONNECTIONS: (self.people_per_database_connection, 5),
            Resource.CACHE_MB: (self.people_per_cache_mb, 64),
            Resource.WORKER_PROCESSES: (self.weddings_per_worker_process, 1),
        }[resource]
        least, most = getattr(self, f"{resource}_min"), getattr(self, f"{resource}_max")
        ceiling = self.instances_ceiling or 2 * most if resource is Resource.INSTANCES else most
        return Bounds(least, most, carries, step, ceiling)


@dataclass(frozen=True)
class Reading:
    """What was seen of a resource. `load` is None when nothing was measured lately, `expected` when not forecast.

    `upper` is what the load stays below until what is ordered now serves; None when too little is known. `pressure` is the
    highest of what is measured over its target. `frozen_until` is when the last wedding ends that runs or starts within the
    lead; `changed_at` the last action's moment.
    """

    region: str
    has: int
    load: float | None
    expected: float | None
    resource: Resource = Resource.INSTANCES
    upper: float | None = None
    #: Not all of it was measured and forecast: there may be more.
    partly: bool = False
    #: There is something to learn its `upper` from, and this process has not yet.
    unlearned: bool = False
    pressure: float = 0.0
    ceremony_ahead: bool = False
    frozen_until: datetime | None = None
    changed_at: datetime | None = None
    #: What there was before the last action, if that took some away less than `shrink_after` ago.
    shrunk_from: int = 0
    #: The highest load of the last `shrink_after`.
    lately: float | None = None
    #: What the season wants at least.
    floor: int = 0
    #: Orders of people: no less, no more, and what an emergency wants at least.
    hold_in: bool = False
    hold_out: bool = False
    emergency: int = 0
    #: Up to how many somebody allowed, for now; and whether the time of what was allowed is over.
    allowed: int = 0
    over: bool = False
    #: Nothing of ours says how much there is: never acted, or not since it was only watched.
    unsure: bool = False
    shadow: bool = False
    #: The action that a new one would follow; 0 for the first.
    follows: int = 0


@dataclass(frozen=True)
class Decision:
    """What there should be, and why; `beyond` is what it would be if the bounds let it, 0 when they do."""

    to: int
    reason: Reason
    beyond: int = 0


def decide(reading: Reading, policy: Policy, *, now: datetime) -> Decision:
    """Return how much of the resource there should be at `now`, and why."""
    reading, bounds = _sound(reading), policy.bounds(reading.resource)
    wanted, reason = _wanted(reading, bounds, policy, now)
    cap = max(bounds.most, min(reading.allowed, bounds.ceiling))
    if not reading.over:
        # Somebody gave it more than we would: it goes when nobody needs it, as all else.
        cap = max(cap, reading.has)
    beyond = min(wanted, bounds.ceiling) if wanted > cap < bounds.ceiling else 0
    to = min(wanted, cap)
    if reading.hold_out and to > reading.has:
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
    calm = max(calm, min(cap, Bounds(bounds.least, cap, 1.0, bounds.step).holding(reading.has * reading.pressure)))
    return Decision(*_shrink(reading, calm, cap, policy, now), beyond)


def _sound(reading: Reading) -> Reading:
    """Return the reading without figures that are none: what was measured or forecast wrongly is as good as not at all."""
    wrong: dict[str, Any] = {
        name: None
        for name in ("load", "expected", "upper", "lately")
        if (value := getattr(reading, name)) is not None and not 0 <= value < inf
    }
    if not 0 <= reading.pressure < inf:
        return replace(reading, pressure=0.0, **wrong)
    return replace(reading, **wrong) if wrong else reading


def _wanted(reading: Reading, bounds: Bounds, policy: Policy, now: datetime) -> tuple[int, Reason]:
    here, expected = reading.load or 0.0, reading.expected or 0.0
    ahead = Reason.CEREMONY_AHEAD if reading.ceremony_ahead else Reason.FORECAST
    found = [
        (bounds.holding(max(here, expected), policy.utilisation), ahead if expected > here else Reason.DEMAND),
        (bounds.holding(reading.upper or 0.0), Reason.MAY_CLIMB),
        (min(reading.floor, bounds.most), Reason.PEAK_SEASON),
        (reading.emergency, Reason.EMERGENCY),
    ]
    if reading.pressure > TOLERANCE and reading.shrunk_from:
        # What strains since some was taken away needs that back, and now.
        found.append((min(reading.shrunk_from, bounds.most), Reason.TOOK_TOO_MUCH))
    # What was ordered last must have had the time to help, before the same strain orders more.
    settled = not reading.changed_at or now - reading.changed_at >= policy.boot + timedelta(minutes=1)
    if reading.pressure > TOLERANCE and settled:
        more = Bounds(bounds.least, bounds.most, 1.0, bounds.step).holding(reading.has * min(reading.pressure, LEAP))
        found.append((more, Reason.PRESSURE))
    # Of equals the first: what is seen or forecast says more than what may come.
    return max(found, key=lambda one: one[0])


def _shrink(reading: Reading, to: int, cap: int, policy: Policy, now: datetime) -> tuple[int, Reason]:
    # Only shrinking waits: a surge must never queue behind a cooldown.
    held = [
        (reading.hold_in, Reason.PAUSED),
        (reading.frozen_until is not None and reading.frozen_until > now, Reason.CEREMONY_RUNNING),
    ]
    held += [
        (reading.pressure > 1.0, Reason.PRESSURE),
        (reading.load is None or reading.expected is None or reading.partly or reading.unlearned, Reason.NOT_MEASURED),
    ]
    if reading.has <= cap:
        cooling = reading.changed_at is not None and now - reading.changed_at < policy.shrink_after
        held += [(cooling, Reason.COOLING_DOWN), (to >= reading.has, Reason.COOLING_DOWN)]
    if (why := next((reason for holds, reason in held if holds), None)) is not None:
        return reading.has, why
    if reading.has > cap:
        return cap, Reason.APPROVAL_ENDED
    # Who leaves one wedding may look at the next: half at a time.
    return max(to, ceil(reading.has / 2)), Reason.FEWER_EXPECTED
