"""What to do when a wedding is looked at. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import Phase, Status, Wedding, begins, phase
from workers.weddings.rules.calendar import Policy as Phases


class Reason(StrEnum):
    """Why something is done about a wedding."""

    NOTHING_NEW = "nothing_new"
    PHASE_BEGAN = "phase_began"
    START_NEAR = "start_near"


@dataclass(frozen=True)
class Policy:
    """A wedding's data is in the cache `warm_up_before` its people come: to set up, and to the ceremony."""

    prefix: ClassVar = "WEDDING_DAY_"

    warm_up_before: timedelta = timedelta(hours=2)


@dataclass(frozen=True)
class Seen:
    """What the last look found. Its text is what is remembered."""

    phase: Phase = Phase.PLANNING
    #: The arrival for which it was warmed up; a wedding that is moved is warmed up again.
    warm_for: str = ""

    def __str__(self) -> str:
        return f"{self.phase}+{self.warm_for}"

    @classmethod
    def read(cls, text: str | None) -> "Seen":
        """Return what was remembered; a wedding never looked at, or what can't be read, is in planning."""
        name, _, warm = (text or "").partition("+")
        return cls(Phase(name), warm) if name in set(Phase) else cls()


@dataclass(frozen=True)
class Decision:
    """What is true of the wedding now, whether to warm up, and why."""

    now: Seen
    warm_up: bool
    reason: Reason


def decide(wedding: Wedding, seen: Seen, policy: Policy, phases: Phases, *, now: Moment) -> Decision:
    """Return what a look at the wedding at `now` calls for, given what the last one found."""
    if wedding.status is Status.CANCELLED:
        return Decision(Seen(Phase.OVER), warm_up=False, reason=Reason.NOTHING_NEW)
    current = phase(wedding, phases, now=now)
    near = [at for at in arrivals(wedding, phases) if at - policy.warm_up_before <= now < wedding.ends_at]
    arrival = f"{near[-1]:%Y%m%dT%H%M}" if near else seen.warm_for
    found = Seen(current, arrival)
    if seen.warm_for != arrival:
        return Decision(found, warm_up=True, reason=Reason.START_NEAR)
    return Decision(
        found, warm_up=False, reason=Reason.PHASE_BEGAN if current is not seen.phase else Reason.NOTHING_NEW
    )


def arrivals(wedding: Wedding, phases: Phases) -> tuple[Moment, Moment]:
    """Return when people come: the first to set up, the others to the ceremony."""
    return Moment(wedding.starts_at - phases.setup_before), wedding.starts_at


def next_look(wedding: Wedding, policy: Policy, phases: Phases, *, now: Moment) -> datetime | None:
    """Return when something of the wedding is due next: a phase begins, or its data must be warm.

    None when nothing is due any more.
    """
    if wedding.status is Status.CANCELLED:
        return None
    moments = [at for at, _ in begins(wedding.starts_at, wedding.ends_at, phases)]
    warm = [at - policy.warm_up_before for at in arrivals(wedding, phases)]
    return min((at for at in (*moments, *warm) if at > now), default=None)
