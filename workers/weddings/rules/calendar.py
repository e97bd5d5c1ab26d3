"""Weddings as facts, and what phase one is in. Pure: no clock, no SQL."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from workers.foundation.moments import Moment

#: No region has this name: it is where things are that all regions share.
EVERYWHERE = "everywhere"
#: No wedding has this id: permits of operators are for it.
OPERATIONS = "ops"
#: Those that are a place: what this machine is set to, or nobody is in, is none.
ZONES = frozenset(available_timezones() - {"localtime", "Factory", "posixrules"})

#: What an id of ours is, in every room, in Lua and in messages: what the calendar takes can join, be measured
#: and be asked for. UIDs of calendars have an at sign. A colon separates parts of channels and keys, so no id
#: has one.
ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}"
ID = re.compile(ID_PATTERN)
ID_REMEDY = "1-128 letters, digits, dots, at signs, dashes, underscores, a letter or digit first"
#: What a region and a user are called: an id without an at sign, so nobody's mail address.
NAME = re.compile(ID_PATTERN.replace("@", ""))
NAME_REMEDY = ID_REMEDY.replace(" at signs,", "")
#: What a kind of supplier is called. `person` is a part of channels, so no kind.
SUPPLIER_TYPE = re.compile(r"(?!person$)[a-z][a-z_-]{0,31}")


class VenueType(StrEnum):
    """Where it is held."""

    OUTDOOR = "outdoor"
    CHURCH = "church"
    BANQUET_HALL = "banquet_hall"
    BEACH = "beach"
    GARDEN = "garden"
    HISTORIC = "historic"


class Status(StrEnum):
    """Whether it takes place."""

    PLANNED = "planned"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """What a wedding is in at a moment."""

    PLANNING = "planning"
    SETUP = "setup"
    CEREMONY = "ceremony"
    RECEPTION = "reception"
    WIND_DOWN = "wind_down"
    OVER = "over"


@dataclass(frozen=True)
class Policy:
    """Lengths of the phases.

    Ceremony 25-30 min and cocktail 60 min are the trade's figures; the margins are ours.
    """

    prefix: ClassVar = "WEDDINGS_"

    setup_before: timedelta = timedelta(hours=4)
    ceremony_lasts: timedelta = timedelta(minutes=60)
    wind_down_lasts: timedelta = timedelta(hours=3)


@dataclass(frozen=True)
class Wedding:
    """A wedding. What people agreed on is local wall time and a zone.

    `starts_at` and `ends_at` are the instants. `timeline` is its moments as they are kept
    (formats/timeline.py). `duties` says of a supplier by its id, where it is known, its
    `type` and `until` which local time it is there; without, to the end.
    """

    id: str
    starts_local: datetime
    ends_local: datetime
    zone: str
    starts_at: Moment
    ends_at: Moment
    guest_count: int
    venue_type: VenueType
    region: str
    status: Status = Status.CONFIRMED
    supplier_ids: tuple[str, ...] = ()
    timeline: Any = field(default_factory=list, hash=False)
    duties: dict[str, dict[str, str]] = field(default_factory=dict, hash=False)
    #: Latitude and longitude in degrees, as iCalendar's GEO has them: `40.71;-74.01`; empty when not known.
    geo: str = ""


@dataclass(frozen=True)
class Resolution:
    """A local time as an instant.

    `note` says what had to be decided, `problem` why there is no such instant.
    """

    at: Moment | None
    note: str | None = None
    problem: str | None = None


def instant(local: datetime, zone: str, *, end: bool = False) -> Resolution:
    """Return the instant that the wall clock of `zone` shows as `local`.

    A time that clocks skip is a problem. A time they show twice is the earlier one for a start and the later
    one for an end: the two readings differ by an hour in which people may be there.
    """
    if zone not in ZONES:
        return Resolution(None, problem=f"zone={zone!r} is no IANA zone; use a name such as America/New_York")
    if not 1 < local.year < 9999:
        return Resolution(None, problem=f"{local.isoformat()} is in no year that clocks show")
    first, second = (local.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    if first.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != local:
        text = f"{local.isoformat()} does not exist in {zone}: clocks skip it; use a time an hour later"
        return Resolution(None, problem=text)
    note = None
    if first.utcoffset() != second.utcoffset():
        note = f"{local.isoformat()} happens twice in {zone}; took the {'later' if end else 'earlier'}"
    return Resolution(Moment((second if end else first).astimezone(UTC)), note=note)


def phase(wedding: Wedding, policy: Policy, *, now: Moment) -> Phase:
    """Return the phase of a wedding at `now`; each begins where the one before it ends."""
    return next(
        (name for begin, name in begins(wedding.starts_at, wedding.ends_at, policy) if now >= begin),
        Phase.PLANNING,
    )


def phase_ends(starts_at: datetime, ends_at: datetime, policy: Policy, *, now: Moment) -> datetime | None:
    """Return when the phase that a wedding is in gives way to the next one; None after the last."""
    return min((begin for begin, _ in begins(starts_at, ends_at, policy) if begin > now), default=None)


def begins(starts_at: datetime, ends_at: datetime, policy: Policy) -> tuple[tuple[datetime, Phase], ...]:
    """Return when each phase after planning begins, the last one first."""
    return (
        (ends_at + policy.wind_down_lasts, Phase.OVER),
        (ends_at, Phase.WIND_DOWN),
        (min(starts_at + policy.ceremony_lasts, ends_at), Phase.RECEPTION),
        (starts_at, Phase.CEREMONY),
        (starts_at - policy.setup_before, Phase.SETUP),
    )


def supplier_type(wedding: Wedding, supplier_id: str) -> str:
    """Return what a supplier of a wedding is, such as `florist`; empty when the calendar does not say."""
    return wedding.duties.get(supplier_id, {}).get("type", "")


def of_type(wedding: Wedding, kind: str) -> list[str]:
    """Return the suppliers of a wedding that are of a type, such as `florist`."""
    return [one for one in wedding.supplier_ids if supplier_type(wedding, one) == kind]


def planners(wedding: Wedding) -> list[str]:
    """Return as whom the planner of a wedding is reached: by role, and as its suppliers of that type."""
    return ["planner", *of_type(wedding, "planner")]


def on_duty(wedding: Wedding, policy: Policy, *, now: Moment) -> list[str]:
    """Return the suppliers whose duty at a wedding is not over: nobody once it is over or cancelled."""
    if wedding.status is Status.CANCELLED or phase(wedding, policy, now=now) is Phase.OVER:
        return []
    return [one for one in wedding.supplier_ids if (until := _until(wedding, one)) is None or now < until]


def _until(wedding: Wedding, supplier_id: str) -> Moment | None:
    local = wedding.duties.get(supplier_id, {}).get("until")
    return instant(datetime.fromisoformat(local), wedding.zone, end=True).at if local else None


def running(wedding: Wedding, *, now: Moment) -> bool:
    """Tell whether ceremony or reception is on: nothing may be taken away."""
    return wedding.status is not Status.CANCELLED and wedding.starts_at <= now < wedding.ends_at
