"""When an alert fires, changes and resolves. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from workers.metrics.rules import Snapshot


class Kind(StrEnum):
    """What an alert is about; each has a page in docs/runbooks."""

    RESPONSE_TIME = "response_time"
    ERROR_RATE = "error_rate"
    JOB_STOPPED = "job_stopped"
    MEMORY = "memory"
    NODE_OUT = "node_out"
    QUALITY = "quality"
    ACTION_FAILED = "action_failed"
    CAPACITY_AHEAD = "capacity_ahead"
    FORECAST_UNFIT = "forecast_unfit"


class Severity(StrEnum):
    """How bad it is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"


class State(StrEnum):
    """Where an alert is in its life."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Reason(StrEnum):
    """Why an alert changed."""

    ABOVE_THRESHOLD = "above_threshold"
    STILL_ABOVE = "still_above"
    WORSE = "worse"
    BETTER = "better"
    BACK_TO_NORMAL = "back_to_normal"


@dataclass(frozen=True)
class Policy:
    """Thresholds: critical 5,000 ms / 10 %, high 3,000 / 5 %, medium 2,000 / 2 %; a value must exceed them.

    Percentages need `messages_least` messages: one error among three is no error rate.
    """

    critical_ms: float = 5000
    high_ms: float = 3000
    medium_ms: float = 2000
    critical_errors: float = 0.10
    high_errors: float = 0.05
    medium_errors: float = 0.02
    messages_least: int = 20
    high_memory: float = 0.80
    critical_memory: float = 0.95
    pending_for: timedelta = timedelta(seconds=10)
    resolve_after: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        """Refuse thresholds out of order."""
        for ladder in ("ms", "errors"):
            steps = [getattr(self, f"{severity}_{ladder}") for severity in reversed(Severity)]
            if steps != sorted(steps):
                raise ValueError(f"medium_{ladder} ≤ high_{ladder} ≤ critical_{ladder} must hold")

    def severity(self, ladder: str, value: float) -> Severity | None:
        """Return how bad a value is on a ladder (`ms`, `errors` or `memory`); None when it is fine."""
        steps = ((severity, getattr(self, f"{severity}_{ladder}", None)) for severity in Severity)
        return next((severity for severity, above in steps if above is not None and value > above), None)


@dataclass(frozen=True)
class Breach:
    """Something that is above its threshold now; (kind, subject) is what makes it the same alert next time."""

    kind: Kind
    subject: str
    severity: Severity
    value: float
    detail: str

    @property
    def fingerprint(self) -> str:
        """Return what deduplicates alerts."""
        return f"{self.kind}/{self.subject}"


@dataclass(frozen=True)
class Alert:
    """An alert that is not resolved. `seen_at` is when it was last above its threshold."""

    id: int
    fingerprint: str
    severity: Severity
    state: State
    since: datetime
    seen_at: datetime


@dataclass(frozen=True)
class Change:
    """What becomes of an alert: `alert_id` None opens one for `breach`."""

    alert_id: int | None
    state: State
    reason: Reason
    breach: Breach | None = None


def breaches(snapshots: Iterable[Snapshot], policy: Policy) -> list[Breach]:
    """Return what is above a threshold in the regions' last snapshots."""
    found = []
    for row in snapshots:
        if row.p95_ms is not None and (severity := policy.severity("ms", row.p95_ms)):
            detail = f"95 % of round trips in {row.region} take up to {row.p95_ms:,.0f} ms"
            found.append(Breach(Kind.RESPONSE_TIME, row.region, severity, row.p95_ms, detail))
        rate = row.error_rate if row.messages >= policy.messages_least else None
        if rate is not None and (severity := policy.severity("errors", rate)):
            detail = f"{rate:.1%} of {row.messages} messages in {row.region} failed"
            found.append(Breach(Kind.ERROR_RATE, row.region, severity, rate, detail))
    return found


def memory(used: Mapping[str, float], policy: Policy) -> list[Breach]:
    """Return which servers are nearly full; `used` is their share from 0 to 1 by name."""
    return [
        Breach(Kind.MEMORY, name, severity, share, f"the {name} server's memory is {share:.0%} full")
        for name, share in used.items()
        if (severity := policy.severity("memory", share))
    ]


def stopped(jobs: Iterable[str]) -> list[Breach]:
    """Return a breach for each job that stopped."""
    return [
        Breach(Kind.JOB_STOPPED, job, Severity.CRITICAL, 1.0, f"{job} fired and did not finish, again and again")
        for job in jobs
    ]


def nodes_out(out: Mapping[str, str], up: Iterable[str]) -> list[Breach]:
    """Return a breach for each node that is out; `out` is their region by name, `up` the regions that have a node left."""
    served, found = set(up), []
    for name, region in out.items():
        severity = Severity.HIGH if region in served else Severity.CRITICAL
        detail = f"node {name} of {region} is silent" + ("" if region in served else ", and no node of its region is left")
        found.append(Breach(Kind.NODE_OUT, name, severity, 1.0, detail))
    return found


def quality(scores: Mapping[str, Iterable[float]]) -> list[Breach]:
    """Return a breach for each tenant whose couple's or planners' connections are bad; `scores` (0-100) are the low ones."""
    found = []
    for tenant, low in scores.items():
        worst, many = min(low), len(list(low))
        severity = Severity.HIGH if worst < 40 else Severity.MEDIUM
        detail = f"{many} connection(s) of couple or planner at {tenant} are bad: the worst scores {worst:.0f} of 100"
        found.append(Breach(Kind.QUALITY, tenant, severity, worst, detail))
    return found


def actions_failed(problems: Mapping[str, str]) -> list[Breach]:
    """Return a breach for each resource (`region/resource`) that could not be brought to what it should be."""
    return [Breach(Kind.ACTION_FAILED, what, Severity.HIGH, 1.0, f"{what}: {why}") for what, why in problems.items()]


def capacity_ahead(days: Mapping[str, date], worst: Mapping[str, str], *, today: date) -> list[Breach]:
    """Return a breach for each limit (`region/limit`) that a day to come may meet: medium, high from two weeks before."""
    found = []
    for what, first in days.items():
        severity = Severity.HIGH if first - today <= timedelta(days=14) else Severity.MEDIUM
        found.append(Breach(Kind.CAPACITY_AHEAD, what, severity, float((first - today).days), worst[what]))
    return found


def forecasts_unfit(coverage: Mapping[str, float]) -> list[Breach]:
    """Return a breach for each region whose forecast is not believed; `coverage` is what its 90 % quantile covered."""
    detail = (
        "the forecast of {} is not believed: {:.0%} of what was seen lay below its 90 % quantile; scaling goes by what is seen"
    )
    return [
        Breach(Kind.FORECAST_UNFIT, region, Severity.MEDIUM, share, detail.format(region, share))
        for region, share in coverage.items()
    ]


def judged(snapshots: Iterable[Snapshot], policy: Policy) -> set[str]:
    """Return the fingerprints about which the snapshots say anything: silence is not health."""
    found = set()
    for row in snapshots:
        if row.p95_ms is not None or not row.connections:
            found.add(f"{Kind.RESPONSE_TIME}/{row.region}")
        if row.messages >= policy.messages_least or not row.connections:
            found.add(f"{Kind.ERROR_RATE}/{row.region}")
    return found


def changes(found: Iterable[Breach], alerts: Iterable[Alert], policy: Policy, *, now: datetime) -> list[Change]:
    """Return what becomes of each of `alerts`: opened, fired, made worse or better, seen again, resolved.

    Hand in only alerts about which something is known now: one that is not in `found` is taken to be over.
    An alert fires once its breach lasted `pending_for`, and resolves once there was none for `resolve_after`: a value
    that swings around its threshold is one alert.
    """
    open_alerts, seen = {alert.fingerprint: alert for alert in alerts}, set()
    result = []
    for breach in found:
        seen.add(breach.fingerprint)
        alert = open_alerts.get(breach.fingerprint)
        if alert is None:
            immediately = not policy.pending_for
            result.append(Change(None, State.FIRING if immediately else State.PENDING, Reason.ABOVE_THRESHOLD, breach))
        else:
            result.append(_again(alert, breach, policy, now))
    for alert in open_alerts.values():
        if alert.fingerprint not in seen and now - alert.seen_at >= policy.resolve_after:
            result.append(Change(alert.id, State.RESOLVED, Reason.BACK_TO_NORMAL))
    return result


def _again(alert: Alert, breach: Breach, policy: Policy, now: datetime) -> Change:
    if alert.state is State.PENDING and now - alert.since >= policy.pending_for:
        return Change(alert.id, State.FIRING, Reason.STILL_ABOVE, breach)
    order = list(Severity)
    worse = order.index(alert.severity) - order.index(breach.severity)
    reason = Reason.WORSE if worse > 0 else Reason.BETTER if worse < 0 else Reason.STILL_ABOVE
    return Change(alert.id, alert.state, reason, breach)
