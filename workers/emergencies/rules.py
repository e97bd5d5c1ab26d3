"""Protocols as data: who does what, by when, what is done by itself; and how far each step is. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workers.delivery.rules import TEXT, Audience
from workers.weddings.rules.calendar import ID_PATTERN, NAME

#: Who owns a step: a role (planner, couple, operations, a type of supplier) or a name that contacts have.
Owner = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
_FROZEN = ConfigDict(frozen=True, extra="forbid")


class EmergencyKind(StrEnum):
    """The four kinds of emergency."""

    WEATHER = "weather"
    VENUE = "venue"
    VENDOR = "vendor"
    TECHNICAL = "technical"


class StepState(StrEnum):
    """How far a step is. One that waits is due once what it comes after is settled."""

    WAITING = "waiting"
    DUE = "due"
    STARTED = "started"
    COMPLETED = "completed"
    SKIPPED = "skipped"


SETTLED = frozenset({StepState.COMPLETED, StepState.SKIPPED})


class Send(BaseModel):
    """An urgent message that a step sends by itself."""

    model_config = _FROZEN

    headline: str = Field(min_length=1, max_length=160, pattern=TEXT)
    body: str = Field(default="", max_length=4_000, pattern=TEXT)
    audience: Audience = Audience()


class Action(BaseModel):
    """What a step does by itself, instead of by its owner."""

    model_config = _FROZEN

    send: Send | None = None
    #: Nothing of the region is scaled in for so many minutes, or until it is closed.
    hold_capacity_minutes: float = Field(default=0, ge=0, le=1_440)
    #: The guests of the wedding give way for so many minutes, or until it is closed.
    emergency_mode_minutes: float = Field(default=0, ge=0, le=1_440)


class Step(BaseModel):
    """One thing that is done, within so many minutes of the opening, after some steps by their numbers."""

    model_config = _FROZEN

    what: str = Field(min_length=1, max_length=300, pattern=TEXT)
    owner: Owner
    within_minutes: float = Field(gt=0, le=10_080)
    after: tuple[Annotated[int, Field(ge=1)], ...] = ()
    mandatory: bool = True
    action: Action | None = None

    @property
    def within(self) -> timedelta:
        """Return how long after the opening its deadline is."""
        return timedelta(minutes=self.within_minutes)


class Protocol(BaseModel):
    """What is done about an emergency of a kind: everywhere, in a region, or for a planner's weddings."""

    model_config = _FROZEN

    kind: EmergencyKind
    region: str = Field(default="", pattern=f"^({NAME.pattern})?$")
    planner: str = Field(default="", pattern=f"^({ID_PATTERN})?$", description="the supplier's id")
    step: tuple[Step, ...] = Field(min_length=1, max_length=30)

    @model_validator(mode="after")
    def _each_comes_after_earlier_ones(self) -> "Protocol":
        for number, step in enumerate(self.step, start=1):
            if late := [one for one in step.after if one >= number]:
                raise ValueError(f"step {number} comes after {late[0]}; name steps that stand before it")
        return self


class Protocols(BaseModel):
    """All protocols that were loaded; `[[protocol]]` tables in TOML. What none is for has the default."""

    model_config = _FROZEN

    protocol: tuple[Protocol, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Policy:
    """Of a deadline that passes its owner and the wedding's contacts are notified at once.

    Operations are `operations_after` that, their lead `lead_after` operations.
    """

    prefix: ClassVar = "EMERGENCIES_"

    operations_after: timedelta = timedelta(minutes=2)
    lead_after: timedelta = timedelta(minutes=3)

    def __post_init__(self) -> None:
        """Refuse waits in which nobody would hear of it."""
        for name in ("operations_after", "lead_after"):
            if not timedelta(seconds=1) <= getattr(self, name) <= timedelta(hours=1):
                raise ValueError(f"{name} must be from 1s to 1h")

    @property
    def waits(self) -> tuple[timedelta, timedelta, timedelta]:
        """Return how long after the deadline, and then after each other, the steps of its escalation are."""
        return timedelta(0), self.operations_after, self.lead_after


def _step(what: str, owner: str, minutes: float, *after: int, **more: Any) -> Step:
    return Step(what=what, owner=owner, within_minutes=minutes, after=after, **more)


def _send(what: str, headline: str, body: str) -> Step:
    action = Action(send=Send(headline=headline, body=body))
    return _step(what, "operations", 1, action=action, mandatory=False)


DEFAULT = {
    EmergencyKind.WEATHER: (
        _step("decide whether the ceremony moves under a roof", "planner", 5),
        _step("tell every supplier the new place and time", "planner", 10, 1),
        _step("confirm that power and sound are safe", "venue", 15),
        _send(
            "tell everybody that the weather is being dealt with",
            "Weather: stand by",
            "The planner decides within five minutes whether the ceremony moves. Stay where you are reached.",
        ),
    ),
    EmergencyKind.VENUE: (
        _step("say whether the venue can be used", "venue", 5),
        _step("choose another room or place", "planner", 15, 1),
        _step("tell every supplier where to go", "planner", 20, 2),
        _send(
            "tell everybody that the venue is in doubt",
            "Venue: wait before you unload",
            "The planner says within a quarter of an hour where it takes place.",
        ),
    ),
    EmergencyKind.VENDOR: (
        _step("reach the missing supplier", "planner", 5),
        _step("call a replacement", "planner", 15, 1),
        _step("move what depends on it in the timeline", "planner", 20, 1),
    ),
    EmergencyKind.TECHNICAL: (
        _step("see what is affected, in `wedops status`", "operations", 2),
        _step(
            "hold capacity and put the wedding's guests last",
            "operations",
            5,
            action=Action(hold_capacity_minutes=240, emergency_mode_minutes=120),
        ),
        _step("tell the planner what works by telephone meanwhile", "operations", 10, 1),
    ),
}


def choose(
    protocols: Iterable[Protocol], kind: EmergencyKind, region: str, suppliers: Sequence[str]
) -> tuple[Step, ...]:
    """Return the steps for an emergency: of the wedding's planner, else of its region, else those for all."""
    own = [
        one
        for one in protocols
        if one.kind is kind and one.region in ("", region) and one.planner in ("", *suppliers)
    ]
    best = max(own, key=lambda one: (bool(one.planner), bool(one.region)), default=None)
    return best.step if best else DEFAULT[kind]


def ready(steps: Mapping[int, tuple[StepState, Sequence[int]]]) -> list[int]:
    """Return which steps that wait are due now, given each step's state and what it comes after."""
    return [
        number
        for number, (state, after) in steps.items()
        if state is StepState.WAITING and all(steps[one][0] in SETTLED for one in after if one in steps)
    ]


def read(document: Mapping[str, Any]) -> Protocols:
    """Return what a document says; raises pydantic's ValidationError, which names each field."""
    return Protocols.model_validate(document)
