"""How all is going: the verdict, and what it rests on."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from sqlalchemy import Connection

from workers.alerts.rules.kinds import Severity
from workers.alerts.rules.lifecycle import AlertView, State
from workers.alerts.rules.lifecycle import Policy as Thresholds
from workers.alerts.store import alerts
from workers.alerts.usecases import surroundings
from workers.balancing import store as balancing
from workers.commands import store as requests
from workers.commands.rules.requests import KIND as COMMAND
from workers.connections.store import peaks
from workers.connections.store import registry as connections
from workers.emergencies import store as emergencies
from workers.foundation import background, circuits, database, dead_letters, event_log, jobs, queues, redis, settings
from workers.foundation.errors import UNAVAILABLE
from workers.foundation.moments import MachineMoment, Moment
from workers.notify import formats as notify
from workers.outbox import store as outbox
from workers.responses import store as degradation
from workers.scaling.rules.decision import State as ActionState
from workers.scaling.rules.policy import Policy
from workers.scaling.store import actions as scaling
from workers.scaling.store import orders
from workers.scaling.usecases import modes
from workers.seasons import store as seasons
from workers.seasons.rules.season import KindOfDay
from workers.seasons.rules.season import Policy as Seasons
from workers.selfwatch.rules import LATENCY_OBJECTIVES
from workers.snapshots import store as metrics
from workers.weddings import rules as calendar
from workers.weddings.store import weddings

#: In seconds: for how long somebody waits for each server; both are asked at once.
PATIENCE = 2.0
HEALTHY, DEGRADED, CRITICAL, UNREACHABLE = 0, 3, 4, UNAVAILABLE
WORDS = {HEALTHY: "healthy", DEGRADED: "degraded", CRITICAL: "critical", UNREACHABLE: "unreachable"}


@dataclass
class Status:
    """Everything an operator wants to see first. Moments are ISO texts; the world's, but for the jobs'."""

    verdict: str = ""
    code: int = HEALTHY
    why: list[str] = field(default_factory=list)
    now: str = ""
    kind_of_day: str = ""
    connections: int = 0
    regions: list[dict[str, Any]] = field(default_factory=list)
    seasons: dict[str, str] = field(default_factory=dict)
    next_weddings: list[dict[str, Any]] = field(default_factory=list)
    emergencies: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)
    #: Regions whose decisions nobody carries out, and what waits for an approval.
    shadow: list[str] = field(default_factory=list)
    proposals: list[dict[str, Any]] = field(default_factory=list)
    requests_waiting: int = 0
    queues: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    circuits: list[dict[str, Any]] = field(default_factory=list)
    nodes: int = 0
    peak: int = 0
    peak_until: str | None = None
    emergency_mode: bool = False
    emergency_mode_by: str = ""
    beats: int = 0
    tallies: dict[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    given_up: int = 0
    has_calendar: bool = False
    #: Alerts that wait whether they last.
    pending: int = 0
    #: Switches of the platform that are off.
    switched_off: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with no reason."""
        self._blamed: list[tuple[int, bool, str]] = []
        # Redis and PostgreSQL are asked at once.
        self._lock = Lock()

    def blame(self, code: int, why: str) -> None:
        """Add a reason; the worst one sets the code, and comes first: before alerts what may be their cause."""
        with self._lock:
            self._blamed.append((-code, why.startswith("alert "), why))
            self._blamed.sort(key=lambda one: one[:2])
            self.why = [why for *_, why in self._blamed]
            self.code = max(self.code, code)


def gather(*, now: Moment, machine: MachineMoment) -> Status:
    """Return what is known now; a server that is away is the verdict, and what the other one knows is there all the same."""
    status = Status(now=now.isoformat(timespec="seconds"))
    parts: dict[str, Callable[[], None]] = {
        "Redis": lambda: _from_redis(status, now, machine.timestamp()),
        "PostgreSQL": lambda: _from_postgres(status, now),
    }
    for name, error in zip(parts, background.within(PATIENCE, *parts.values()), strict=True):
        if isinstance(error, redis.UNREACHABLE):
            status.blame(UNREACHABLE, f"Redis does not answer ({error}); see WEDOPS_BROKER_URL, or run `wedops doctor`")
        elif isinstance(error, TimeoutError):
            status.blame(UNREACHABLE, f"{name} gave {error}; run `wedops doctor`")
        elif isinstance(error, database.DatabaseUnavailable):
            status.blame(UNREACHABLE, str(error))
        elif error:
            raise error
    status.switched_off = _switched_off()
    word = WORDS[status.code]
    if not status.why and (lacking := _lacking(status)):
        word, status.why = "idle", lacking
    more = [f"and {len(status.why) - 5} more"] if len(status.why) > 5 else []
    status.verdict = f"{word}: {'; '.join(status.why[:5] + more) or 'all jobs run, nothing waits, no alert'}"
    return status


def _switched_off() -> list[str]:
    """Return the switches of the platform that are off: nothing is silent about it."""
    scaled, alerted, seasonal = settings.read(Policy), settings.read(Thresholds), settings.read(Seasons)
    off = {
        "PREDICTIVE_SCALING_ENABLED": not scaled.predictive,
        "PERFORMANCE_MONITORING_ENABLED": not alerted.performance,
        "WEDDING_DAY_MONITORING": not seasonal.wedding_days,
        "WEDDING_DAY_ENHANCED_MONITORING": not alerted.wedding_tempo,
    }
    return [name for name, is_off in off.items() if is_off]


def _lacking(status: Status) -> list[str]:
    """Return what a system lacks that has nothing to look after: healthy would say too much."""
    calendar = [] if status.has_calendar else ["no wedding is in the calendar (`wedops weddings import FILE`)"]
    return calendar + ([] if status.nodes else ["no realtime node has reported"])


def _from_redis(status: Status, now: Moment, at: float) -> None:
    status.kind_of_day, status.connections = seasons.kind_of_day(now), connections.total()
    status.queues = [asdict(queue) for queue in queues.lengths_and_ages()]
    for queue in status.queues:
        if queue["oldest"] > LATENCY_OBJECTIVES[queue["name"]]:
            code = CRITICAL if queue["name"] == "emergency" else DEGRADED
            status.blame(code, f"queue {queue['name']} is {queue['oldest']:.0f} s behind: is its worker running?")
    for what, often in Counter(one for one in event_log.lately(60) if one.startswith("process ")).items():
        if often > 2:
            status.blame(
                DEGRADED, f"{what} {often} times in the last minute: see the end of its log (`wedops supervise` says where)"
            )
    _from_jobs(status, at)
    _from_nodes(status, now)
    status.beats, status.tallies, status.dead_letters = len(jobs.beats(at)), jobs.tallies(), dead_letters.count()
    if not status.beats:
        status.blame(
            CRITICAL,
            "no beat runs: start one (`celery -A schedules.beat beat`; `wedops up` and `supervise` do in some seconds)",
        )


def _from_jobs(status: Status, at: float) -> None:
    for record in jobs.records():
        status.jobs.append(_job(record, at))
        if record.stopped():
            status.blame(CRITICAL, f"job {record.name} fired {record.unanswered} times and did not finish")
        elif record.result not in ("ok", "nothing_due", ""):
            status.blame(DEGRADED, f"job {record.name} ended with {record.result} at its last run: see the log of its worker")
        elif record.overdue(at):
            status.blame(DEGRADED, f"job {record.name} was due {at - record.next:.0f} s ago and beat did not fire it")


def _from_nodes(status: Status, now: Moment) -> None:
    status.circuits = [asdict(circuit) for circuit in circuits.known()]
    for circuit in status.circuits:
        if circuit["state"] != "closed":
            status.blame(DEGRADED, f"{circuit['dependency']} fails: its circuit is {circuit['state']}")
    nodes = balancing.nodes()
    status.nodes, status.emergency_mode_by = len([node for node in nodes if not node.out]), connections.emergency_mode()
    status.emergency_mode = bool(status.emergency_mode_by)
    if nodes and not any(node.usable or not node.url for node in nodes):
        status.blame(CRITICAL, "no realtime node takes anybody: all are out or drained (`wedops nodes`)")
    if not nodes and status.kind_of_day == KindOfDay.WEDDING_DAY:
        status.blame(DEGRADED, "no realtime node has reported: does a gateway run, and reach the registry?")
    status.peak = peaks.needed(now)
    if status.peak:
        status.peak_until = str(peaks.planned()[1])
    if status.emergency_mode:
        status.blame(
            DEGRADED,
            f"emergency mode is on, by {status.emergency_mode_by}: guests give way first (`wedops emergency-mode off`)",
        )


def _job(record: jobs.Record, at: float) -> dict[str, Any]:
    return asdict(record) | {
        "last": _moment(record.finished),
        "next": _moment(record.next),
        "overdue": round(max(0.0, at - record.next), 3) if record.pace else 0.0,
        "ago": f"{at - record.finished:,.0f} s ago" if record.finished else None,
        "in": f"in {record.next - at:,.0f} s" if record.pace else None,
    }


def _moment(epoch: float) -> str | None:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds") if epoch else None


def _from_postgres(status: Status, now: Moment) -> None:
    phases = settings.read(calendar.Policy)
    with database.transaction() as db:
        status.regions = [_plain(row) for row in metrics.latest(db, since=now - timedelta(days=1))]
        status.seasons = {region: str(season) for region, season in seasons.current(db).items()}
        near = weddings.between(db, now, now + timedelta(hours=24), limit=5)
        status.next_weddings = [_wedding(one, phases, now) for one in near]
        status.emergencies = [_emergency(one) for one in emergencies.active(db)]
        found = alerts.listed(db)
        status.alerts = [_plain(one) for one in found]
        status.pending = sum(one.state is State.PENDING for one in found)
        status.has_calendar = bool(weddings.regions(db))
        _from_alerts(db, status, found, now)
        status.actions = [_plain(one) for one in scaling.recent(db)]
        status.shadow = modes.in_shadow(db, settings.read(Policy), orders.active(db, at=now))
        status.proposals = [_plain(one) for one in scaling.proposals(db) if one.state is ActionState.PROPOSED]
        status.requests_waiting = requests.waiting(db)
        status.given_up = outbox.count_dead(db)
        if failed := outbox.failing(db, notify.KIND):
            status.blame(
                DEGRADED,
                f"{failed} notification(s) did not arrive: see NOTIFY_TARGETS, the log of `deliver` and `wedops dead-letters`",
            )
        if stuck := outbox.failing(db, COMMAND, attempts=5):
            status.blame(DEGRADED, f"{stuck} request(s) had no effect in 5 attempts: see the log of the worker of their task")
    _blame_open(status)


def _blame_open(status: Status) -> None:
    """Say what waits for somebody."""
    for one in status.proposals:
        what = f"{one['to']} {one['resource']} of {one['region']}"
        status.blame(DEGRADED, f"{what} wait for approval (`wedops scaling approve {one['id']} --for 6h`, or `reject`)")
    for emergency in status.emergencies:
        what = f"{emergency['kind']} emergency {emergency['id']} at {emergency['wedding_id']} is open"
        steps = "; ".join(f"{step['owner']} by {step['due_at'][11:16]}Z: {step['what']}" for step in emergency["steps"])
        status.blame(DEGRADED, f"{what} ({steps})")


def _from_alerts(db: Connection, status: Status, found: list[AlertView], now: Moment) -> None:
    """Say of each alert that fires, and that no worse one explains, what is wrong, whom it hurts, what was done, what to do."""
    firing = [one for one in found if one.state is State.FIRING and not one.muted.startswith("inhibited")]
    around, done = surroundings.of(db, firing, now=now), degradation.active(db)
    for alert in firing:
        steps = ", ".join(f"{step.action.replace('_', ' ')} ({step.outcome})" for step in done.get(alert.id, ()))
        parts = [
            f"alert {alert.id}, {alert.severity}: {alert.detail}",
            f"affects {hurts}" if (hurts := around[alert.id].summary) else "",
            f"done: {steps}" if steps else "",
            f"to do: {surroundings.runbook(alert.kind)}",
            alert.muted,
        ]
        status.blame(CRITICAL if alert.severity is Severity.CRITICAL else DEGRADED, ", ".join(filter(None, parts)))


def _wedding(wedding: calendar.Wedding, phases: calendar.Policy, now: Moment) -> dict[str, Any]:
    facts = {name: getattr(wedding, name) for name in ("id", "region", "zone", "guest_count")}
    local = wedding.starts_local.isoformat(timespec="minutes")
    return facts | {"starts_local": local, "phase": str(calendar.phase(wedding, phases, now=now))}


def _emergency(one: emergencies.Emergency) -> dict[str, Any]:
    return _plain(one) | {"steps": [_plain(step) for step in one.steps]}


def _plain(fact: Any) -> dict[str, Any]:
    texts = {name: value.isoformat(timespec="seconds") for name, value in vars(fact).items() if isinstance(value, datetime)}
    return {**vars(fact), **texts}
