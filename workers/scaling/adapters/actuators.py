"""What brings a resource to a value on a real system: actuators, found by entry point.

`SCALING_ACTUATORS` says which resource is whose, e.g. `instances=gateways+kubernetes cache_mb=valkey`. A
resource without one is not decided about. A package of anybody's adds one in its pyproject.toml:

    [project.entry-points."wedops.actuators"]
    mine = "package.module:Mine"
"""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from importlib.metadata import entry_points
from threading import Thread
from typing import ClassVar, Protocol, TypeVar
from uuid import uuid4

from workers.foundation import settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.scaling.rules.actions import Action
from workers.scaling.rules.decision import State
from workers.scaling.rules.policy import Resource
from workers.scaling.store import looks

GROUP = "wedops.actuators"
#: Seconds that a call may take in all: a server that sends a byte now and then outlives every time-out of a
#: socket.
PATIENCE = 5.0
#: After so long a call that never ended is given up.
GIVEN_UP = timedelta(minutes=2)


class ActuatorUnknown(ExpectedError):
    """SCALING_ACTUATORS names {name!r}, and there is no such actuator; there are {known}"""


class ActuatorUnfit(ExpectedError):
    """SCALING_ACTUATORS gives {resource} to {name!r}, which serves {serves}"""


class ActuatorBroken(ExpectedError):
    """actuator {name!r} of SCALING_ACTUATORS can't be loaded ({problem}); mend or remove its package"""


class ActuatorRefused(ExpectedError):
    """{actuator} does not set {resource} of {region} to {to}: {problem}"""


class ActuatorUnreachable(ExpectedError):
    """{actuator} does not answer: {problem}"""


def refusal(actuator: str, action: Action, problem: object) -> ActuatorRefused:
    """Return the error of an actuator that will not do what an action wants, however often it is asked."""
    return ActuatorRefused(
        actuator=actuator, resource=action.resource, region=action.region, to=action.to, problem=problem
    )


class Actuator(Protocol):
    """Brings what an action wants about; both calls raise ActuatorRefused or ActuatorUnreachable."""

    #: The resources that it can set.
    serves: Collection[Resource]

    def seen(self, action: Action) -> int | None:
        """Return how much the real system has now; None while it does not say."""

    def apply(self, action: Action, *, dry_run: bool = False) -> str:
        """Bring it to `action.to` and return what was done, or would be.

        Once it is there, again changes nothing.
        """


@dataclass(frozen=True)
class Policy:
    """Which actuators a resource has, those of one joined by +."""

    prefix: ClassVar = "SCALING_"

    actuators: str = "instances=gateways connection_pool=gateways cache_mb=valkey worker_processes=celery"

    def __post_init__(self) -> None:
        """Refuse what is no such list."""
        entries = [entry.partition("=")[0] for entry in self.actuators.split()]
        for entry in self.actuators.split():
            resource, equals, names = entry.partition("=")
            sound = resource in set(Resource) and equals and all(names.split("+")) and "=" not in names
            twice = len(set(names.split("+"))) < len(names.split("+")) or entries.count(resource) > 1
            if not sound or twice:
                raise ValueError(f"actuators must be such as instances=gateways+kubernetes; {entry!r} is not")

    @property
    def by_resource(self) -> dict[Resource, list[str]]:
        """Return the actuators' names by resource."""
        pairs = (entry.split("=") for entry in self.actuators.split())
        return {Resource(resource): names.split("+") for resource, names in pairs}


def managed() -> dict[Resource, list[str]]:
    """Return the actuators' names of each resource that has some."""
    return settings.read(Policy).by_resource


def of(resource: Resource) -> dict[str, Actuator]:
    """Return a resource's actuators by name; raises ActuatorUnknown."""
    return {name: made(name, resource) for name in managed().get(resource, [])}


def found(region: str, resource: Resource, *, now: Moment) -> int | None:
    """Return how much of a resource there is, where nothing of ours says so; None when nobody knows."""
    trial = Action(0, region, resource, 0, 0, "", State.CONFIRMED, now, "")
    seen = {name: actuator.seen(trial) for name, actuator in of(resource).items()}
    for name, value in seen.items():
        if value is not None and (type(value) is not int or not 0 <= value < 2**31):
            raise refusal(name, trial, f"it said {value!r}, which is no amount")
    return max((value for value in seen.values() if value is not None), default=None)


def made(name: str, resource: Resource) -> Actuator:
    """Return the actuator of a name for a resource; raises ActuatorUnknown, ActuatorBroken, ActuatorUnfit."""
    actuator = _loaded(name)
    if resource not in actuator.serves:
        raise ActuatorUnfit(name=name, resource=resource, serves=", ".join(actuator.serves))
    return actuator


@cache
def _loaded(name: str) -> Actuator:
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in known:
        raise ActuatorUnknown(name=name, known=", ".join(sorted(known)) or "none: install the package")

    def make() -> Actuator:
        actuator: Actuator = known[name].load()()
        return actuator

    try:
        return _InTime(name, make)
    except ActuatorUnreachable:
        raise
    except Exception as error:
        # Anybody's code: whatever it raises, the operator is told which one it was.
        raise ActuatorBroken(name=name, problem=f"{type(error).__name__}: {error}") from error


Answer = TypeVar("Answer")


class _InTime:
    """An actuator whose calls end within PATIENCE and raise no more than errors.

    While one goes on, no other is begun.
    """

    def __init__(self, name: str, make: Callable[[], Actuator]) -> None:
        self._name = name
        self._actuator = self._request(make)
        self.serves = self._actuator.serves

    def seen(self, action: Action) -> int | None:
        return self._request(partial(self._actuator.seen, action))

    def apply(self, action: Action, *, dry_run: bool = False) -> str:
        return self._request(partial(self._actuator.apply, action, dry_run=dry_run))

    def _request(self, call: Callable[[], Answer]) -> Answer:
        if looks.hangs(self._name):
            raise ActuatorUnreachable(actuator=self._name, problem="a call of before has not ended yet")
        answer: Future[Answer] = Future()
        Thread(target=_settle, args=(call, answer), daemon=True).start()
        try:
            return answer.result(timeout=PATIENCE)
        except TimeoutError:
            if answer.done():
                raise
            call_id = uuid4().hex
            looks.note_hanging(self._name, call=call_id, limit=GIVEN_UP)
            # Called at once if it ended meanwhile.
            answer.add_done_callback(lambda _: looks.note_ended(self._name, call=call_id))
            raise ActuatorUnreachable(
                actuator=self._name, problem=f"no answer within {PATIENCE:.0f} s"
            ) from None


def _settle(call: Callable[[], Answer], answer: Future[Answer]) -> None:
    try:
        answer.set_result(call())
    except Exception as error:
        answer.set_exception(error)
    except BaseException as error:
        # A plug-in that wants to exit must not take the worker with it, and its task's message again and
        # again.
        answer.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
