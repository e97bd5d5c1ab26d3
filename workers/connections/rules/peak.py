"""The plan for a peak that is known ahead.

What to bring up, in which order, and how long each takes. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import ceil

from workers.weddings.rules.calendar import Wedding

BUFFER = 1.2
POOL_MAX = 1_000
PRE_WARMED = 0.3
#: Each is a request of its own; the others are warmed when they are near.
MAX_WARMED = 500
CLEAN_UP_EVERY = timedelta(seconds=30)
#: How long a pool takes to come up, and to warm what is new: both side by side, whatever their number (SPEC
#: C8).
POOLS_TAKE, WARMING_TAKES = timedelta(seconds=30), timedelta(seconds=60)


class Step(StrEnum):
    """What there is to do."""

    NO_SCALING_NEEDED = "no_scaling_needed"
    ADD_POOLS = "add_pools"
    PRE_WARM = "pre_warm"
    CLEAN_UP = "clean_up"


@dataclass(frozen=True)
class PlannedStep:
    """A step, how much of it, and how long it takes."""

    step: Step
    amount: int
    takes: timedelta
    detail: str


@dataclass(frozen=True)
class PeakPlan:
    """What is needed, with the buffer, and the steps there."""

    expected: int
    needed: int
    pools: int
    steps: tuple[PlannedStep, ...]


def warmed(plan: PeakPlan, weddings: Iterable[Wedding]) -> list[str]:
    """Return the weddings to warm before a peak.

    The largest, until their guests are as many as the plan warms.
    """
    left = sum(step.amount for step in plan.steps if step.step is Step.PRE_WARM)
    found: list[str] = []
    for wedding in sorted(weddings, key=lambda one: (-one.guest_count, one.id)):
        if left <= 0 or len(found) == MAX_WARMED:
            break
        found.append(wedding.id)
        left -= wedding.guest_count
    return found


def peak_plan(expected: int, duration: timedelta, *, capacity: int) -> PeakPlan:
    """Return how to serve `expected` connections for `duration` when `capacity` can be served now.

    A fifth more than expected is made ready, in pools of at most 1,000; 30 % of what is new is warmed before.
    Raises ValueError for figures that are no peak.
    """
    if expected < 1 or capacity < 0 or duration <= timedelta(0):
        raise ValueError("connections must be 1 or more, capacity 0 or more and hours above 0")
    needed = ceil(expected * BUFFER)
    pools = ceil(needed / POOL_MAX)
    if needed <= capacity:
        enough = PlannedStep(
            Step.NO_SCALING_NEEDED,
            0,
            timedelta(0),
            f"{capacity} connections can be served, {needed} are needed",
        )
        return PeakPlan(expected, needed, pools, (enough,))
    more = ceil((needed - capacity) / POOL_MAX)
    warm = ceil((needed - capacity) * PRE_WARMED)
    cleanings = ceil(duration / CLEAN_UP_EVERY)
    cleaning = f"every {CLEAN_UP_EVERY.seconds} s or sooner while it lasts"
    steps = (
        PlannedStep(Step.ADD_POOLS, more, POOLS_TAKE, f"{more} pool(s) of at most {POOL_MAX} connections"),
        PlannedStep(
            Step.PRE_WARM,
            warm,
            WARMING_TAKES,
            f"{warm} connections, 30 % of what is new: their weddings' data",
        ),
        PlannedStep(Step.CLEAN_UP, cleanings, duration, cleaning),
    )
    return PeakPlan(expected, needed, pools, steps)
