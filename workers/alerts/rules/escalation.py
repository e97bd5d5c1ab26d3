"""Who is notified of an alert, after how long, and who next when nobody takes it. Pure; policies are data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from workers.alerts.rules.kinds import Severity, Tempo
from workers.alerts.rules.lifecycle import AlertView, Policy, State, lasted
from workers.foundation.moments import Moment
from workers.notify.rules import CONTACTS, OPERATIONS, steps_due

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Step(BaseModel):
    """Somebody to be notified, so many minutes after the step before.

    Shorter on a wedding day, shortest in a wedding.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipients: tuple[Name, ...] = Field(
        min_length=1,
        validation_alias=AliasChoices("recipients", "who"),
        # As the version before reads it.
        serialization_alias="who",
    )
    after_minutes: dict[Tempo, Annotated[float, Field(ge=0, le=10_080)]] = {}

    def wait(self, tempo: Tempo) -> timedelta:
        """Return the wait at a tempo; one that is not said is that of the next slower one, at last none."""
        slower = list(Tempo)[: list(Tempo).index(tempo) + 1]
        stated = [self.after_minutes[one] for one in slower if one in self.after_minutes]
        return timedelta(minutes=stated[-1] if stated else 0)


class Path(BaseModel):
    """The steps for alerts of some severities and kinds (patterns).

    The first path that fits an alert is its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    severities: tuple[Severity, ...] = tuple(Severity)
    kinds: tuple[str, ...] = ("*",)
    steps: tuple[Step, ...] = Field(min_length=1, max_length=20)

    def fits(self, alert: AlertView) -> bool:
        """Tell whether an alert goes this way."""
        return alert.severity in self.severities and any(fnmatchcase(alert.kind, kind) for kind in self.kinds)


class Paths(BaseModel):
    """All paths, in their order; `[[path]]` tables in TOML."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: tuple[Path, ...] = Field(min_length=1)


def _step(*recipients: str, ordinary: float = 0, wedding_day: float = 0, running: float = 0) -> Step:
    waits = {Tempo.ORDINARY: ordinary, Tempo.WEDDING_DAY: wedding_day, Tempo.RUNNING: running}
    return Step(recipients=recipients, after_minutes=waits)


DEFAULT = Paths(
    path=(
        Path(
            name="page",
            severities=(Severity.CRITICAL,),
            steps=(
                _step(OPERATIONS),
                _step("operations-lead", CONTACTS, ordinary=15, wedding_day=5, running=2),
                _step("operations-manager", ordinary=30, wedding_day=10, running=5),
            ),
        ),
        Path(
            name="urgent",
            severities=(Severity.HIGH,),
            steps=(_step(OPERATIONS), _step("operations-lead", ordinary=60, wedding_day=20, running=10)),
        ),
        Path(name="ticket", steps=(_step(OPERATIONS),)),
    )
)


@dataclass(frozen=True)
class Due:
    """That somebody is to be notified of an alert at a step.

    The step's name makes it one, however often it is decided.
    """

    alert_id: int
    step: str
    recipient: str


def path_of(alert: AlertView, paths: Sequence[Path]) -> Path:
    """Return the path of an alert; one that fits none takes the last of the default."""
    return next((path for path in paths if path.fits(alert)), DEFAULT.path[-1])


def due(alert: AlertView, path: Path, tempo: Tempo, policy: Policy, *, now: Moment) -> list[Due]:
    """Return who must have been notified of an alert by now, repeats of the last step among them.

    Also those who were notified before.
    """
    if alert.state is not State.FIRING or alert.muted or alert.escalates_from is None:
        return []
    if alert.snoozed_until and alert.snoozed_until > now:
        return []
    count, at = steps_due([step.wait(tempo) for step in path.steps], alert.escalates_from, now)
    found = [
        Due(alert.id, f"{alert.round}.{number}", recipient)
        for number, step in enumerate(path.steps[:count], start=1)
        for recipient in _recipients(step, alert, number)
    ]
    if count < len(path.steps):
        return found
    if again := (now - at) // policy.repeat_after:
        found += [
            Due(alert.id, f"{alert.round}.again-{again}", recipient)
            for recipient in path.steps[-1].recipients
        ]
    return found


def _recipients(step: Step, alert: AlertView, number: int) -> tuple[str, ...]:
    # Whoever an alert was reassigned to is notified first.
    return (alert.assigned_to,) if number == 1 and alert.assigned_to else step.recipients


def may_publish(
    alerts: Iterable[AlertView], notified_at: Moment | None, policy: Policy, *, now: Moment
) -> bool:
    """Tell whether a group's `alerts` that were not published are published now.

    `notified_at` is when its last message was.
    """
    waits = {Severity.CRITICAL: min(policy.critical_wait, policy.group_wait)}
    waited = [
        alert
        for alert in alerts
        if alert.escalates_from
        and lasted(alert.escalates_from, now=now) >= waits.get(alert.severity, policy.group_wait)
    ]
    if notified_at is None or lasted(notified_at, now=now) >= policy.group_interval:
        return bool(waited)
    return any(alert.severity is Severity.CRITICAL for alert in waited)


def read(document: Mapping[str, Any]) -> Paths:
    """Return what a document says; raises pydantic's ValidationError, which names each field."""
    return Paths.model_validate(document)
