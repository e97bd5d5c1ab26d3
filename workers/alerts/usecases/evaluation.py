"""What is wrong in the realtime layer now, and with capacity."""

from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from datetime import date, timedelta

from sqlalchemy import Connection

from workers.alerts.rules import findings
from workers.alerts.rules.kinds import Evaluator, Kind
from workers.alerts.rules.lifecycle import Breach, Change, changes
from workers.alerts.rules.lifecycle import Policy as Thresholds
from workers.alerts.store import alerts as store
from workers.alerts.store import moves
from workers.alerts.usecases import budgets
from workers.balancing import store as balancing
from workers.caching.usecases import maintenance
from workers.connections.store import registry as connections
from workers.connections.store import upkeep
from workers.forecasting.usecases import forecasts as forecasting
from workers.foundation import database, jobs, logs, redis, settings
from workers.foundation.moments import MachineMoment, Moment
from workers.measurements.store import detection
from workers.scaling.rules.policy import Policy
from workers.scaling.store import capacity as full_days
from workers.scaling.usecases import modes
from workers.snapshots import rules as snapshot_rules
from workers.snapshots import store as snapshots
from workers.weddings.store import weddings

log = logs.get("alerts")

#: A storm of alerts is not one of lines.
MAX_LINES = 20


def realtime(db: Connection, policy: Thresholds) -> list[Breach]:
    """Return a breach for each node that is out, each wedding with a badly connected couple or planner."""
    nodes, out = balancing.nodes(), balancing.out()
    gone = {node.name: node.region for node in nodes if node.name in out}
    low: dict[str, list[float]] = defaultdict(list)
    for ref, score in upkeep.poor().items():
        low[connections.tenant_of(ref)].append(score)
    regions = {wedding.id: wedding.region for wedding in weddings.by_id(db, low)}
    busy = {node.name: (node.cpu, node.region) for node in nodes if node.name not in out}
    gone_nodes = findings.nodes_out(gone, (node.region for node in nodes if node.name not in out))
    return gone_nodes + findings.quality(low, regions) + findings.busy(busy, policy)


def capacity(db: Connection, *, now: Moment) -> list[Breach]:
    """Return a breach for each failed action, each limit to be met, and each forecast that is not trusted."""
    policy = settings.read(Policy)
    failed = {
        f"{one.region}/{one.resource}": one.problem or "it did not take effect"
        for one in modes.failed(db, policy, now=now)
    }
    first: dict[str, date] = {}
    worst: dict[str, str] = {}
    highest: dict[str, int] = {}
    for day in full_days.known(db):
        # The evening of a day in the west is the next day's morning here.
        if day.at < now - timedelta(hours=6):
            continue
        what = f"{day.region}/{day.limit}"
        first.setdefault(what, day.day)
        if day.needed > highest.get(what, 0):
            highest[what] = day.needed
            text = (
                f"from {first[what]} on, most on {day.day}: {day.needed} {day.limit} may be needed in "
                f"{day.region}"
            )
            worst[what] = f"{text}, {day.max} there can be"
    ahead = findings.capacity_ahead(first, worst, today=now.date())
    return (
        findings.actions_failed(failed) + ahead + findings.forecasts_unfit(forecasting.evaluated(db, now=now))
    )


#: Kinds of which the cache's server says whether they hold.
OF_THE_CACHE = frozenset({Kind.CACHE_STALE, Kind.CACHE_POISONED, Kind.CACHE_PRESSURE, Kind.WARM_UP_UNREAD})


def but_the_caches(fingerprint: str) -> bool:
    """Tell of an alert whether it is none that the cache's server has to say something about."""
    return fingerprint.partition("/")[0] not in OF_THE_CACHE


def was_measured(fingerprint: str, evaluated: Container[str]) -> bool:
    """Tell whether the look at measurements says anything about such an alert: of anomalies always."""
    kind = fingerprint.partition("/")[0]
    return fingerprint in evaluated or kind == Kind.ANOMALY


def measured(
    db: Connection, policy: Thresholds, *, now: Moment, machine: MachineMoment
) -> tuple[list[Breach], set[str]]:
    """Return the measurements above a threshold, and the fingerprints of which something was measured."""
    fresh_for = settings.read(snapshot_rules.Policy).fresh_for
    rows = snapshots.latest(db, since=now - fresh_for)
    burnt, known = budgets.burning(db, policy, now=now, machine=machine)
    found = (
        findings.breaches(rows, policy) + findings.anomalies(detection.active(machine.timestamp())) + burnt
    )
    return found, findings.evaluated(rows, policy) | known


def cache() -> tuple[list[Breach], bool]:
    """Return what is amiss with the cache, and whether its server could say so."""
    try:
        return findings.cache(maintenance.condition()), True
    except redis.UNREACHABLE:
        return [], False


def watch(*, machine: MachineMoment, settled: bool = True) -> list[Breach]:
    """Return a breach when the watch over ourselves ran once and does not run now.

    While all is only about to start (not `settled`) there is none.
    """
    own = [record for record in jobs.records() if record.name == jobs.WATCH]
    late = settled and [record for record in own if record.overdue(machine.timestamp())]
    return [
        Breach(
            Kind.WATCH_STOPPED,
            "watch",
            Kind.WATCH_STOPPED.worst,
            1.0,
            "the process `watch` does not look: start it (Procfile)",
        )
        for _ in late or ()
    ]


def always(_fingerprint: str) -> bool:
    return True


def reconcile(
    breaches: Sequence[Breach],
    by: Evaluator,
    policy: Thresholds,
    *,
    now: Moment,
    evaluated: Callable[[str], bool] = always,
) -> bool:
    """Bring the alerts that an evaluator answers for up to date; tell whether one changed.

    `evaluated` tells of a fingerprint whether anything is known about it now: silence is not health. What was
    found is known.
    """
    above = {breach.fingerprint for breach in breaches}
    with database.transaction() as db:
        own = [
            alert
            for alert in store.unresolved(db)
            if alert.kind.evaluator is by or alert.fingerprint in above
        ]
        ours = [alert for alert in own if alert.fingerprint in above or evaluated(alert.fingerprint)]
        decided = changes(breaches, ours, policy, now=now)
        store.calm(db, [alert.id for alert in ours if alert.fingerprint not in above], at=now)
        changed = moves.apply_changes(db, decided, at=now, flapping_within=policy.flapping_within)
    _log(changed)
    return bool(changed)


def _log(changed: Sequence[Change]) -> None:
    for change in changed[:MAX_LINES]:
        what = change.breach.fingerprint if change.breach else ""
        log.warning(
            "alert", state=change.state, reason=change.reason, alert_id=change.alert_id, fingerprint=what
        )
    if len(changed) > MAX_LINES:
        log.warning("alerts", more=len(changed) - MAX_LINES, reason="storm")
