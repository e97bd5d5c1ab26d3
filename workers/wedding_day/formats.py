"""What other services may say of a wedding's day, and what the journal gets of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, Field

from workers.commands.rules.contract import WeddingCommand, register
from workers.journal.rules import Event
from workers.weddings.rules.calendar import ID_PATTERN, NAME


class What(StrEnum):
    """What happened: a moment started or ended, or somebody has arrived."""

    STARTED = "started"
    ENDED = "ended"
    ARRIVED = "arrived"


@register
class ReportMoment(WeddingCommand):
    """wedding_day.report: say that a moment of a wedding started or ended, or that somebody has arrived."""

    task = "wedding_day.report"

    what: What
    moment: Annotated[str, Field(pattern=f"^({NAME.pattern})?$")] = Field(
        default="", description="the moment's id; left out for somebody who has arrived"
    )
    by: Annotated[str, Field(pattern=f"^{ID_PATTERN}$")] = Field(
        description="who says so: a supplier of the wedding, or planner, couple, operations"
    )
    at: AwareDatetime | None = Field(default=None, description="when; absent: now")


@register
class ChangeTimeline(WeddingCommand):
    """wedding_day.change_timeline: give a wedding another timeline."""

    task = "wedding_day.change_timeline"

    moments: list[dict[str, Any]] = Field(description="as docs/guides/wedding-day.md has them")
    if_version: int | None = Field(default=None, description="only while it is of this version")


@register
class BeginMode(WeddingCommand):
    """wedding_day.begin_mode: hold a wedding armed or live for a while, whatever the calendar says."""

    task = "wedding_day.begin_mode"

    mode: Literal["armed", "live"]
    hours: float = Field(gt=0, le=168, description="for how long")
    reason: str = Field(min_length=1, max_length=500, pattern=r"\S")
    contacts: list[Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]] = Field(
        default_factory=list,
        max_length=20,
        description="people with an address: the wedding's contacts from now on",
    )


@register
class Optimise(WeddingCommand):
    """wedding_day.optimise_wedding: warm a wedding's data, make room for suppliers, look at the database."""

    task = "wedding_day.optimise_wedding"


@dataclass(frozen=True)
class ModeChanged(Event):
    """A wedding came into another mode, by the `calendar` or by who began it."""

    name: ClassVar = "wedding_day.mode_changed"

    wedding_id: str
    mode: str
    by: str


@dataclass(frozen=True)
class MomentReported(Event):
    """Somebody said how a moment goes."""

    name: ClassVar = "wedding_day.moment_reported"

    wedding_id: str
    moment: str
    what: str
    by: str


@dataclass(frozen=True)
class DeviationAhead(Event):
    """A critical moment will probably be late, and its owner was warned."""

    name: ClassVar = "wedding_day.deviation_ahead"

    wedding_id: str
    moment: str
    minutes: int
    because: str
