"""What to do when a wedding is looked at. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import Phase, Status, Wedding, begins, phase
from workers.weddings.rules.calendar import Policy as Phases
from workers.weddings.rules.modes import Mode, by_calendar
from workers.weddings.rules.modes import Policy as Modes
from workers.weddings.rules.modes import begins as mode_begins


class Reason(StrEnum):
    """Why something is done about a wedding."""

    NOTHING_NEW = "nothing_new"
    PHASE_BEGAN = "phase_began"
    MODE_BEGAN = "mode_began"
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
    mode: Mode = Mode.SCHEDULED

    def __str__(self) -> str:
        return f"{self.phase}+{self.warm_for}+{self.mode}"

    @classmethod
    def read(cls, text: str | None) -> "Seen":
        """Return what was remembered; a wedding never looked at, or what can't be read, is in planning."""
        name, warm, mode = [*(text or "").split("+"), "", ""][:3]
        # The version before knew no modes.
        known = Mode(mode) if mode in set(Mode) else Mode.SCHEDULED
        return cls(Phase(name), warm, known) if name in set(Phase) else cls()


@dataclass(frozen=True)
class Decision:
    """What is true of the wedding now, whether to warm up, and why."""

    now: Seen
    warm_up: bool
    reason: Reason


def decide(
    wedding: Wedding,
    seen: Seen,
    policy: Policy,
    phases: Phases,
    modes: Modes,
    *,
    now: Moment,
) -> Decision:
    """Return what a look at the wedding at `now` calls for, given what the last one found."""
    mode = by_calendar(wedding, modes, phases, now=now)
    if wedding.status is Status.CANCELLED:
        return Decision(Seen(Phase.OVER, mode=mode), warm_up=False, reason=Reason.NOTHING_NEW)
    current = phase(wedding, phases, now=now)
    near = [at for at in arrivals(wedding, phases) if at - policy.warm_up_before <= now < wedding.ends_at]
    arrival = f"{near[-1]:%Y%m%dT%H%M}" if near else seen.warm_for
    found = Seen(current, arrival, mode)
    if seen.warm_for != arrival:
        return Decision(found, warm_up=True, reason=Reason.START_NEAR)
    if current is not seen.phase:
        return Decision(found, warm_up=False, reason=Reason.PHASE_BEGAN)
    began = mode is not seen.mode
    return Decision(found, warm_up=False, reason=Reason.MODE_BEGAN if began else Reason.NOTHING_NEW)


def arrivals(wedding: Wedding, phases: Phases) -> tuple[Moment, Moment]:
    """Return when people come: the first to set up, the others to the ceremony."""
    return Moment(wedding.starts_at - phases.setup_before), wedding.starts_at


def next_look(
    wedding: Wedding,
    policy: Policy,
    phases: Phases,
    modes: Modes,
    *,
    now: Moment,
) -> datetime | None:
    """Return when something of the wedding is due next: a phase or a mode begins, its data must be warm.

    None when nothing is due any more.
    """
    if wedding.status is Status.CANCELLED:
        return None
    moments = [at for at, _ in begins(wedding.starts_at, wedding.ends_at, phases)]
    moments += [at for at, _ in mode_begins(wedding, modes, phases)]
    warm = [at - policy.warm_up_before for at in arrivals(wedding, phases)]
    return min((at for at in (*moments, *warm) if at > now), default=None)
