"""Which alerts are muted: a worse one inhibits them, or somebody asked for silence. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import AlertView, Policy, Reason, State
from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import ZONES, Phase

RUNNING = frozenset({Phase.CEREMONY, Phase.RECEPTION})
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Inhibition:
    """While one of `sources` is active, `targets` that are no worse are muted: of the same region, or all."""

    sources: frozenset[Kind]
    targets: frozenset[Kind]
    same_region: bool = False
    #: Only what is unavailable altogether: an alert whose subject is its kind.
    whole: bool = False


INHIBITIONS = (
    Inhibition(
        frozenset({Kind.NODE_OUT}),
        frozenset(
            {Kind.RESPONSE_TIME, Kind.ERROR_RATE, Kind.AVAILABILITY, Kind.QUALITY, Kind.ANOMALY, Kind.CPU}
        ),
        same_region=True,
    ),
    Inhibition(
        frozenset({Kind.RESPONSE_TIME, Kind.ERROR_RATE, Kind.AVAILABILITY, Kind.ERROR_BUDGET}),
        frozenset({Kind.ANOMALY}),
        same_region=True,
    ),
    Inhibition(
        frozenset({Kind.BROKER}),
        frozenset(
            {
                Kind.JOB_STOPPED,
                Kind.QUEUE_AGE,
                Kind.BEAT_STOPPED,
                Kind.WORKER_FROZEN,
                Kind.NOTIFICATION,
                Kind.MEMORY,
            }
        ),
        whole=True,
    ),
    Inhibition(
        frozenset({Kind.DATABASE}),
        frozenset({Kind.JOB_STOPPED, Kind.QUEUE_AGE, Kind.NOTIFICATION}),
        whole=True,
    ),
    Inhibition(
        frozenset({Kind.BEAT_STOPPED, Kind.WORKER_FROZEN}), frozenset({Kind.JOB_STOPPED, Kind.QUEUE_AGE})
    ),
)


@dataclass(frozen=True)
class Around:
    """Whom an alert hurts now: people, and the phases that their weddings are in."""

    connected_users: int = 0
    phases: frozenset[Phase] = frozenset()
    weddings: int = 0

    @property
    def summary(self) -> str:
        """Return it in words; empty when it hurts nobody."""
        on = ", ".join(phase.replace("_", " ") for phase in Phase if phase in self.phases)
        at = f"{self.weddings:,} wedding{'s' if self.weddings > 1 else ''}" + (f" ({on})" if on else "")
        parts = [f"{self.connected_users:,} people"] if self.connected_users else []
        return " at ".join([*parts, at] if self.weddings else parts)

    @property
    def running(self) -> bool:
        """Tell whether a ceremony or a reception is on."""
        return bool(self.phases & RUNNING)


@dataclass(frozen=True)
class Weekly:
    """A window that comes again each week, in local time.

    One that ends before it begins goes past midnight.
    """

    days: tuple[int, ...]
    begins: time
    ends: time
    zone: str

    @classmethod
    def read(cls, text: str) -> "Weekly":
        """Return what `sat,sun 02:00-04:00 America/New_York` says; raises ValueError with the remedy."""
        remedy = f"{text!r}: write it as `sat,sun 02:00-04:00 America/New_York`"
        try:
            days, hours, zone = text.split()
            begins, ends = (datetime.strptime(hour, "%H:%M").time() for hour in hours.split("-"))  # noqa: DTZ007 - wall time
            numbers = tuple(DAYS.index(day) for day in days.lower().split(","))
        except ValueError:
            raise ValueError(remedy) from None
        if zone not in ZONES:
            raise ValueError(f"{remedy}; {zone} is no IANA zone")
        return cls(numbers, begins, ends, zone)

    def covers(self, now: Moment) -> bool:
        """Tell whether `now` lies in the window."""
        local = now.astimezone(ZoneInfo(self.zone))
        if self.begins < self.ends:
            return local.weekday() in self.days and self.begins <= local.time() < self.ends
        yesterday = (local - timedelta(days=1)).weekday()
        return (local.weekday() in self.days and local.time() >= self.begins) or (
            yesterday in self.days and local.time() < self.ends
        )


@dataclass(frozen=True)
class Silence:
    """Alerts that nobody is notified of for a while.

    `kind`, `subject` and `region` are patterns (`*`). Those worse than `up_to` are published all the same.
    `weekly` narrows it to a window of the week, `only` to while no wedding runs (`no_wedding`), or while all
    weddings concerned are in one phase.
    """

    id: int
    kind: str
    subject: str
    region: str
    starts_at: datetime
    ends_at: datetime
    up_to: Severity
    weekly: str
    only: str
    requested_by: str
    reason: str

    def covers(self, alert: AlertView, around: Around, *, now: Moment) -> bool:
        """Tell whether it holds for an alert now."""
        return (
            self.starts_at <= now < self.ends_at
            and all(
                fnmatchcase(getattr(alert, part), getattr(self, part))
                for part in ("kind", "subject", "region")
            )
            and not alert.severity.worse_than(self.up_to)
            and self._in_season(around)
            and (not self.weekly or Weekly.read(self.weekly).covers(now))
        )

    def _in_season(self, around: Around) -> bool:
        if self.only == "no_wedding":
            return not around.running
        return not self.only or around.phases == {Phase(self.only)}


#: Why nobody is notified of how well the platform does.
SWITCHED_OFF = "performance monitoring is switched off (PERFORMANCE_MONITORING_ENABLED)"


def switched_off(alerts: Iterable[AlertView], policy: Policy) -> dict[int, tuple[Reason, str]]:
    """Return the alerts that nobody is notified of because performance monitoring is off.

    Never that something failed.
    """
    if policy.performance:
        return {}
    return {one.id: (Reason.SILENCED, SWITCHED_OFF) for one in alerts if one.kind.performance}


def mute(
    alerts: Sequence[AlertView],
    around: Mapping[int, Around],
    silences: Iterable[Silence],
    *,
    now: Moment,
) -> dict[int, tuple[Reason, str]]:
    """Return why nobody is notified of an alert, by id, for those that are to be muted."""
    held, found = list(silences), dict[int, tuple[Reason, str]]()
    active = [alert for alert in alerts if alert.state in (State.FIRING, State.ACKNOWLEDGED)]
    for alert in active:
        if silence := next((one for one in held if one.covers(alert, around[alert.id], now=now)), None):
            found[alert.id] = (
                Reason.SILENCED,
                f"silence {silence.id} until {silence.ends_at:%Y-%m-%d %H:%M}Z: {silence.reason}",
            )
    for rule in INHIBITIONS:
        found |= _inhibited([alert for alert in active if alert.id not in found], rule)
    return found


def _inhibited(unmuted: Sequence[AlertView], rule: Inhibition) -> dict[int, tuple[Reason, str]]:
    """Return those of the alerts that a rule mutes, by what inhibits them."""
    sources = [
        one for one in unmuted if one.kind in rule.sources and (not rule.whole or one.subject == one.kind)
    ]
    found: dict[int, tuple[Reason, str]] = {}
    for alert in unmuted:
        if alert.kind in rule.targets and (worse := _inhibitor(sources, alert, rule)):
            found[alert.id] = Reason.INHIBITED, f"inhibited by alert {worse.id}: {worse.kind} {worse.subject}"
    return found


def _inhibitor(sources: Iterable[AlertView], alert: AlertView, rule: Inhibition) -> AlertView | None:
    matching = (one for one in sources if not rule.same_region or (one.region and one.region == alert.region))
    return next((one for one in matching if not alert.severity.worse_than(one.severity)), None)


#: What a phase multiplies people by: nobody can repeat a ceremony.
PHASES = {Phase.CEREMONY: 8.0, Phase.RECEPTION: 4.0, Phase.SETUP: 2.0, Phase.WIND_DOWN: 2.0}
SEVERITIES = {Severity.CRITICAL: 9.0, Severity.HIGH: 3.0, Severity.MEDIUM: 1.0}


def rank(severity: Severity, around: Around) -> float:
    """Return how much an alert matters now: people × the worst phase they are in × how bad it is."""
    phase = max((PHASES.get(phase, 1.0) for phase in around.phases), default=1.0)
    return max(1, around.connected_users) * phase * SEVERITIES[severity]
