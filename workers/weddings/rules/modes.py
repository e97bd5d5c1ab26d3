"""The mode of a wedding: how much the system holds ready for it. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar, NamedTuple

from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import Policy as Phases
from workers.weddings.rules.calendar import Status, Wedding


class Mode(StrEnum):
    """What a wedding is in, in this order."""

    #: It is in the calendar.
    SCHEDULED = "scheduled"
    #: Its day is watched; backup connections are let in, contacts must be reachable.
    ARMED = "armed"
    #: Every job keeps the pace of a wedding day, nothing is taken from its region, the gate is closed.
    LIVE = "live"
    #: Its people go home.
    WINDING_DOWN = "winding_down"
    DONE = "done"


#: What may be begun by hand, before or after its time by the calendar.
BY_HAND = (Mode.ARMED, Mode.LIVE)


@dataclass(frozen=True)
class Policy:
    """A wedding is armed `armed_before` its start, live `live_before` it; by hand for `longest` at most."""

    prefix: ClassVar = "MODE_"

    armed_before: timedelta = timedelta(hours=24)
    live_before: timedelta = timedelta(hours=2)
    longest: timedelta = timedelta(hours=48)

    def __post_init__(self) -> None:
        """Refuse modes that overlap."""
        if not timedelta(0) <= self.live_before <= self.armed_before <= timedelta(days=7):
            raise ValueError("live_before must be from 0s to armed_before, and that 7d at most")
        if not timedelta(minutes=10) <= self.longest <= timedelta(days=7):
            raise ValueError("longest must be from 10m to 7d")


@dataclass(frozen=True)
class Hold:
    """A mode that somebody began by hand for a wedding, [at, until)."""

    wedding_id: str
    mode: Mode
    at: Moment
    until: Moment
    by: str
    reason: str


class Live(NamedTuple):
    """A wedding that somebody holds live, [at, until), and where the calendar has it."""

    wedding_id: str
    region: str
    zone: str
    at: Moment
    until: Moment


def begins(wedding: Wedding, policy: Policy, phases: Phases) -> tuple[tuple[Moment, Mode], ...]:
    """Return when each mode begins by the calendar, the last one first."""
    return (
        (Moment(wedding.ends_at + phases.wind_down_lasts), Mode.DONE),
        (wedding.ends_at, Mode.WINDING_DOWN),
        (Moment(wedding.starts_at - policy.live_before), Mode.LIVE),
        (Moment(wedding.starts_at - policy.armed_before), Mode.ARMED),
    )


def by_calendar(wedding: Wedding, policy: Policy, phases: Phases, *, now: Moment) -> Mode:
    """Return the mode of a wedding at `now`; one that is cancelled is done."""
    if wedding.status is Status.CANCELLED:
        return Mode.DONE
    begun = (one for at, one in begins(wedding, policy, phases) if at <= now)
    return next(begun, Mode.SCHEDULED)


def mode(calendar: Mode, hold: Hold | None) -> Mode:
    """Return the mode of a wedding that somebody may hold in one.

    A hold never lowers it: who arms a wedding by hand leaves it live at its time, and what follows.
    """
    if hold is not None and (hold.mode is Mode.LIVE or calendar is Mode.SCHEDULED):
        return hold.mode
    return calendar
