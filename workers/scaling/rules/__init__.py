"""How many instances a region should have. Pure: no clock, no Redis, no SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from math import ceil


class Reason(StrEnum):
    """Why a region gets what it gets."""

    CEREMONY_AHEAD = "ceremony_ahead"
    FORECAST = "forecast"
    MAY_CLIMB = "may_climb"
    DEMAND = "demand"
    FEWER_EXPECTED = "fewer_expected"
    ENOUGH = "enough"
    CEREMONY_RUNNING = "ceremony_running"
    COOLING_DOWN = "cooling_down"
    NOT_MEASURED = "not_measured"


class State(StrEnum):
    """What became of an action."""

    APPROVED = "approved"
    APPLIED = "applied"
    CONFIRMED = "confirmed"
    FAILED = "failed"


@dataclass(frozen=True)
class Policy:
    """Bounds 2-10 instances, 70-75 % utilisation as the cost target, capacity there 2 h before a ceremony.

    `boot` is how long an instance takes until it serves.
    """

    instances_min: int = 2
    instances_max: int = 10
    connections_per_instance: int = 1000
    utilisation: float = 0.72
    lead: timedelta = timedelta(hours=2)
    shrink_after: timedelta = timedelta(minutes=30)
    boot: timedelta = timedelta(minutes=2)

    def __post_init__(self) -> None:
        """Refuse bounds that leave nothing to choose."""
        if not 1 <= self.instances_min <= self.instances_max:
            raise ValueError("instances_min must be from 1 to instances_max")
        if not 0 < self.utilisation <= 1 or self.connections_per_instance < 1:
            raise ValueError("utilisation must be above 0 and at most 1, connections_per_instance 1 or more")

    def instances(self, demand: float) -> int:
        """Return the instances that carry `demand` at the utilisation wanted, within the bounds."""
        return self._bounded(demand / (self.connections_per_instance * self.utilisation))

    def carrying(self, most: float) -> int:
        """Return the instances that carry `most` when they are full, within the bounds."""
        return self._bounded(most / self.connections_per_instance)

    def _bounded(self, instances: float) -> int:
        return min(max(ceil(instances), self.instances_min), self.instances_max)


@dataclass(frozen=True)
class Reading:
    """What was seen of a region. `connections` is None when nothing was measured lately, `expected` when not forecast.

    `upper` is what the connections stay below until an instance that is ordered now serves; None when too little is known.
    `frozen_until` is when the last wedding ends that runs or starts within the lead; `changed_at` the last action's moment.
    """

    region: str
    instances: int
    connections: int | None
    expected: float | None
    upper: float | None = None
    #: There is something to learn its `upper` from, and this process has not yet.
    unlearned: bool = False
    ceremony_ahead: bool = False
    frozen_until: datetime | None = None
    changed_at: datetime | None = None
    #: The action that a new one would follow; 0 for the first.
    follows: int = 0


@dataclass(frozen=True)
class Decision:
    """What a region should have, and why."""

    to: int
    reason: Reason


def decide(reading: Reading, policy: Policy, *, now: datetime) -> Decision:
    """Return how many instances the region should have at `now`, and why."""
    here, expected = reading.connections or 0, reading.expected or 0.0
    wanted, climb = policy.instances(max(here, expected)), policy.carrying(reading.upper or 0.0)
    if climb > max(wanted, reading.instances):
        return Decision(climb, Reason.MAY_CLIMB)
    wanted = max(wanted, climb)
    if wanted > reading.instances:
        ahead = Reason.CEREMONY_AHEAD if reading.ceremony_ahead else Reason.FORECAST
        return Decision(wanted, ahead if expected > here else Reason.DEMAND)
    if wanted == reading.instances:
        return Decision(wanted, Reason.ENOUGH)
    return Decision(*_shrink(reading, wanted, policy, now))


@dataclass(frozen=True)
class FullDay:
    """A day on which a region may need more than it can have: in 1 of 100 cases its highest moment has more `connections`."""

    region: str
    day: date
    at: datetime
    connections: int
    instances: int


def full_days(region: str, starts_at: datetime, step: timedelta, upper: Sequence[float], policy: Policy) -> list[FullDay]:
    """Return the days (UTC) on which `upper`, a load by step, needs more instances than the most that a region may have."""
    worst: dict[date, tuple[float, datetime]] = {}
    for number, load in enumerate(upper):
        at = starts_at + number * step
        worst[at.date()] = max(worst.get(at.date(), (0.0, at)), (load, at))
    carried = policy.connections_per_instance * policy.utilisation
    return [
        FullDay(region, day, at, ceil(load), ceil(load / carried))
        for day, (load, at) in worst.items()
        if load > policy.instances_max * carried
    ]


def _shrink(reading: Reading, wanted: int, policy: Policy, now: datetime) -> tuple[int, Reason]:
    # Only shrinking waits: a surge must never queue behind a cooldown.
    if reading.frozen_until and reading.frozen_until > now:
        return reading.instances, Reason.CEREMONY_RUNNING
    if reading.connections is None or reading.expected is None or reading.unlearned:
        return reading.instances, Reason.NOT_MEASURED
    if reading.changed_at and now - reading.changed_at < policy.shrink_after:
        return reading.instances, Reason.COOLING_DOWN
    return wanted, Reason.FEWER_EXPECTED
