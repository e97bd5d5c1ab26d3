"""The protocols: who does what, within how long. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class EmergencyKind(StrEnum):
    """The four kinds of emergency."""

    WEATHER = "weather"
    VENUE = "venue"
    VENDOR = "vendor"
    TECHNICAL = "technical"


@dataclass(frozen=True)
class Step:
    """One thing that somebody has to do, counted from the opening."""

    what: str
    owner: str
    within: timedelta


def _minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


PROTOCOLS: dict[EmergencyKind, tuple[Step, ...]] = {
    EmergencyKind.WEATHER: (
        Step("decide whether the ceremony moves under a roof", "planner", _minutes(5)),
        Step("tell every supplier the new place and time", "planner", _minutes(10)),
        Step("confirm that power and sound are safe", "venue", _minutes(15)),
    ),
    EmergencyKind.VENUE: (
        Step("say whether the venue can be used", "venue", _minutes(5)),
        Step("choose another room or place", "planner", _minutes(15)),
        Step("tell every supplier where to go", "planner", _minutes(20)),
    ),
    EmergencyKind.VENDOR: (
        Step("reach the missing supplier", "planner", _minutes(5)),
        Step("call a replacement", "planner", _minutes(15)),
        Step("move what depends on it in the timeline", "planner", _minutes(20)),
    ),
    EmergencyKind.TECHNICAL: (
        Step("see what is affected, in `wedops status`", "operations", _minutes(2)),
        Step("hold capacity and put guests last", "operations", _minutes(5)),
        Step("tell the planner what works by telephone meanwhile", "operations", _minutes(10)),
    ),
}
