"""What brings a resource to a value on a real system: actuators, found by entry point.

`SCALING_ACTUATORS` says which resource is whose, e.g. `instances=gateways+kubernetes cache_mb=valkey`. A resource
without one is not decided about. A package of anybody's adds one in its pyproject.toml:

    [project.entry-points."wedops.actuators"]
    mine = "package.module:Mine"
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import entry_points
from typing import Protocol

from workers.foundation import settings
from workers.foundation.errors import Anticipated
from workers.scaling.rules import Resource, State
from workers.scaling.store import Action

GROUP = "wedops.actuators"


class ActuatorUnknown(Anticipated):
    """SCALING_ACTUATORS names {name!r}, and there is no such actuator; there are {known}"""


class ActuatorRefused(Anticipated):
    """{actuator} does not set {resource} of {region} to {to}: {problem}"""


class ActuatorUnreachable(Anticipated):
    """{actuator} does not answer: {problem}"""


def refusal(actuator: str, action: Action, problem: object) -> ActuatorRefused:
    """Return the error of an actuator that will not do what an action wants, however often it is asked."""
    return ActuatorRefused(actuator=actuator, resource=action.resource, region=action.region, to=action.to, problem=problem)


class Actuator(Protocol):
    """Brings what an action wants about. Each call has a time-out; both raise ActuatorRefused or ActuatorUnreachable."""

    def seen(self, action: Action) -> int | None:
        """Return how much the real system has now; None while it does not say."""

    def apply(self, action: Action, *, dry_run: bool = False) -> str:
        """Bring it to `action.to` and return what was done, or would be; once it is there, again changes nothing."""


@dataclass(frozen=True)
class Policy:
    """Which actuators a resource has, those of one joined by +."""

    actuators: str = "instances=gateways connection_pool=gateways cache_mb=valkey worker_processes=celery"

    def __post_init__(self) -> None:
        """Refuse what is no such list."""
        for entry in self.actuators.split():
            resource, equals, names = entry.partition("=")
            if resource not in set(Resource) or not equals or not all(names.split("+")):
                raise ValueError(f"actuators must be such as instances=gateways+kubernetes; {entry!r} is not")

    @property
    def by_resource(self) -> dict[Resource, list[str]]:
        """Return the actuators' names by resource."""
        pairs = (entry.split("=") for entry in self.actuators.split())
        return {Resource(resource): names.split("+") for resource, names in pairs}


def managed() -> dict[Resource, list[str]]:
    """Return the actuators' names of each resource that has some."""
    return settings.read(Policy, "SCALING_").by_resource


def of(resource: Resource) -> dict[str, Actuator]:
    """Return a resource's actuators by name; raises ActuatorUnknown."""
    return {name: made(name) for name in managed().get(resource, [])}


def found(region: str, resource: Resource, *, now: datetime) -> int | None:
    """Return how much of a resource there is, where nothing of ours says so; None when nobody knows."""
    asked = Action(0, region, resource, 0, 0, "", State.CONFIRMED, now, "")
    seen = [actuator.seen(asked) for actuator in of(resource).values()]
    return max((value for value in seen if value is not None), default=None)


@cache
def made(name: str) -> Actuator:
    """Return the actuator of a name; raises ActuatorUnknown."""
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in known:
        raise ActuatorUnknown(name=name, known=", ".join(sorted(known)) or "none: install the package")
    actuator: Actuator = known[name].load()()
    return actuator
