"""When an alert fires, changes and resolves. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import isfinite
from typing import ClassVar

from workers.alerts.rules.kinds import Kind, Severity
from workers.foundation.moments import Moment


class State(StrEnum):
    """Where an alert is in its life."""

    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Reason(StrEnum):
    """Why an alert changed."""

    ABOVE_THRESHOLD = "above_threshold"
    STILL_ABOVE = "still_above"
    WORSE = "worse"
    BETTER = "better"
    BACK_TO_NORMAL = "back_to_normal"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    SNOOZE_EXPIRED = "snooze_expired"
    REASSIGNED = "reassigned"
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    UNMUTED = "unmuted"


@dataclass(frozen=True)
class Policy:
    """Thresholds: critical 5,000 ms / 10 % / 95 %, high 3,000 / 5 / 97, medium 2,000 / 2 / 99.

    A value must exceed them. Percentages need `messages_min` messages: one error among three is no error
    rate. An alert waits `pending_for` before it fires and `resolve_after` before it resolves; each time it
    fired within `flapping_within` doubles that, up to 32 times.
    """

    prefix: ClassVar = "ALERTS_"
    renamed: ClassVar = {"messages_min": "messages_least"}
    also: ClassVar = {
        "performance": "PERFORMANCE_MONITORING_ENABLED",
        "wedding_tempo": "WEDDING_DAY_ENHANCED_MONITORING",
    }

    #: Off, nobody is notified of how well the platform does: it is still seen and listed. That something
    #: failed is published.
    performance: bool = True
    #: Off, a wedding day and a running wedding make nothing go faster.
    wedding_tempo: bool = True
    critical_ms: float = 5000
    high_ms: float = 3000
    medium_ms: float = 2000
    critical_errors: float = 0.10
    high_errors: float = 0.05
    medium_errors: float = 0.02
    critical_outage: float = 0.05
    high_outage: float = 0.03
    medium_outage: float = 0.01
    messages_min: int = 20
    high_memory: float = 0.80
    critical_memory: float = 0.95
    high_cpu: float = 0.85
    critical_cpu: float = 0.97
    high_storage: float = 0.80
    critical_storage: float = 0.92
    pending_for: timedelta = timedelta(seconds=10)
    resolve_after: timedelta = timedelta(seconds=30)
    flapping_within: timedelta = timedelta(minutes=30)
    #: Alertmanager's defaults: how long a group gathers, how long until it says more, and says it again. What
    #: is critical does not gather.
    group_wait: timedelta = timedelta(seconds=30)
    critical_wait: timedelta = timedelta(0)
    group_interval: timedelta = timedelta(minutes=5)
    repeat_after: timedelta = timedelta(hours=4)

    def __post_init__(self) -> None:
        """Refuse thresholds out of order, and what would tell nobody."""
        if not timedelta(minutes=1) <= self.repeat_after <= timedelta(days=7):
            raise ValueError("repeat_after must be from 1m to 7d")
        if max(self.flapping_within, self.group_interval, self.pending_for, self.resolve_after) > timedelta(
            days=1
        ):
            raise ValueError(
                "flapping_within, group_interval, pending_for and resolve_after must be 1d at most"
            )
        if self.messages_min < 0:
            raise ValueError("messages_min must be 0 or more")
        for ladder in ("ms", "errors", "outage", "memory", "cpu", "storage"):
            steps = [
                value
                for severity in reversed(Severity)
                if (value := self.above(severity, ladder)) is not None
            ]
            if steps != sorted(steps) or not all(map(isfinite, steps)):
                raise ValueError(f"medium_{ladder} ≤ high_{ladder} ≤ critical_{ladder} must hold")

    def above(self, severity: Severity, ladder: str) -> float | None:
        """Return what a value on a ladder must exceed to be so bad; None where the ladder lacks that step."""
        threshold: float | None = getattr(self, f"{severity}_{ladder}", None)
        return threshold

    def severity(self, ladder: str, value: float) -> Severity | None:
        """Return how bad a value is on a ladder (`ms`, `errors`, `memory` …); None when it is fine."""
        steps = ((severity, self.above(severity, ladder)) for severity in Severity)
        return next((severity for severity, above in steps if above is not None and value > above), None)

    def calm_for(self, flaps: int) -> timedelta:
        """Return how long a breach must be gone before its alert resolves, if it fired `flaps` times."""
        return self.resolve_after * (1 << min(flaps, 5))


@dataclass(frozen=True)
class Breach:
    """Something that is above its threshold now; (kind, subject) is what makes it the same alert next time.

    `region` and `wedding_id` say who is affected; empty is everybody, and no wedding in particular.
    """

    kind: Kind
    subject: str
    severity: Severity
    value: float
    detail: str
    region: str = ""
    wedding_id: str = ""

    @property
    def fingerprint(self) -> str:
        """Return what deduplicates alerts."""
        return f"{self.kind}/{self.subject}"


@dataclass(frozen=True)
class Alert:
    """An alert that is not resolved. `seen_at` is when it was last above its threshold.

    `flaps` is how often it fired before, `worst` how bad it was at worst since its escalation began anew.
    """

    id: int
    fingerprint: str
    severity: Severity
    state: State
    since: Moment
    seen_at: Moment
    flaps: int = 0
    worst: Severity = Severity.MEDIUM

    @property
    def kind(self) -> Kind:
        """Return what it is about."""
        return Kind(self.fingerprint.partition("/")[0])


@dataclass(frozen=True)
class AlertView:
    """An alert as an operator reads it.

    `muted` says why nobody is notified (a silence, a worse alert), `rank` how many people it hurts now and
    how badly. Its escalation began at `escalates_from`, for the `round`th time.
    """

    id: int
    kind: Kind
    subject: str
    region: str
    wedding_id: str
    severity: Severity
    state: State
    detail: str
    since: Moment
    fired_at: Moment | None
    resolved_at: Moment | None
    escalates_from: Moment | None
    notified_at: Moment | None
    round: int
    flaps: int
    snoozed_until: Moment | None
    assigned_to: str
    muted: str
    connected_users: int
    rank: float
    value: float
    seen_at: Moment
    calm_since: Moment | None

    @property
    def group(self) -> str:
        """Return what is published together: a region, or what all regions share."""
        return self.region or "everywhere"

    @property
    def line(self) -> str:
        """Return what is published of it, in one line."""
        return f"{self.severity} {self.state}: {self.kind} {self.subject}: {self.detail}"


@dataclass(frozen=True)
class Change:
    """What becomes of an alert: `alert_id` None opens one for `breach`."""

    alert_id: int | None
    state: State
    reason: Reason
    breach: Breach | None = None


#: Clocks of two machines differ by less; what was noted further ahead was noted before a clock was put right.
AHEAD = timedelta(minutes=1)


def lasted(since: Moment, *, now: Moment) -> timedelta:
    """Return for how long something has lasted: for ever, when it was noted by a clock that ran ahead."""
    return now - since if since <= now + AHEAD else timedelta.max


def changes(found: Iterable[Breach], alerts: Iterable[Alert], policy: Policy, *, now: Moment) -> list[Change]:
    """Return what becomes of each of `alerts`: opened, fired, made worse or better, seen again, resolved.

    Hand in only alerts about which something is known now: one that is not in `found` is taken to have ended.
    An alert fires once its breach lasted `pending_for`, and resolves once there was none for `calm_for`: a
    value that swings around its threshold is one alert.
    """
    open_alerts, seen = {alert.fingerprint: alert for alert in alerts}, set()
    result = []
    for breach in found:
        seen.add(breach.fingerprint)
        alert = open_alerts.get(breach.fingerprint)
        if alert is None:
            immediately = not policy.pending_for
            result.append(
                Change(None, State.FIRING if immediately else State.PENDING, Reason.ABOVE_THRESHOLD, breach)
            )
        else:
            result.append(_again(alert, breach, policy, now))
    for alert in open_alerts.values():
        if alert.fingerprint not in seen and lasted(alert.seen_at, now=now) >= policy.calm_for(alert.flaps):
            result.append(Change(alert.id, State.RESOLVED, Reason.BACK_TO_NORMAL))
    return result


def _again(alert: Alert, breach: Breach, policy: Policy, now: Moment) -> Change:
    if alert.state is State.PENDING and lasted(alert.since, now=now) >= policy.pending_for:
        return Change(alert.id, State.FIRING, Reason.STILL_ABOVE, breach)
    # Somebody took on what was less bad: that says nothing about this. One that only swings is not published
    # again.
    if breach.severity.worse_than(alert.severity) and breach.severity.worse_than(alert.worst):
        state = State.FIRING if alert.state is State.ACKNOWLEDGED else alert.state
        return Change(alert.id, state, Reason.WORSE, breach)
    reason = Reason.BETTER if alert.severity.worse_than(breach.severity) else Reason.STILL_ABOVE
    return Change(alert.id, alert.state, reason, breach)
