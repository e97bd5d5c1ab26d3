"""Alerts, as Celery runs them: read, decide, remember, tell."""

from collections.abc import Iterable

from workers.alerts import rules, store
from workers.app import app
from workers.foundation import clock, database, jobs, logs, redis, settings
from workers.metrics import rules as measuring
from workers.metrics import store as metrics

log = logs.get("alerts")


@app.task(name="alerts.check")
def check(**_later: object) -> None:
    """Compare what was measured with the thresholds."""
    now, policy = clock.now(), settings.read(rules.Policy, "ALERTS_")
    fresh_for = settings.read(measuring.Policy, "METRICS_").fresh_for
    with database.transaction() as db:
        found = rules.breaches(metrics.latest(db, since=now - fresh_for), policy)
    _carry_out(found, {rules.Kind.RESPONSE_TIME, rules.Kind.ERROR_RATE}, policy)


@app.task(name="alerts.watch")
def watch(**_later: object) -> None:
    """See that every job still runs and no server is full."""
    policy = settings.read(rules.Policy, "ALERTS_")
    stopped = [record.name for record in jobs.records() if record.stopped()]
    found = rules.stopped(stopped) + rules.memory(redis.memory_used(), policy)
    _carry_out(found, {rules.Kind.JOB_STOPPED, rules.Kind.MEMORY}, policy)


def _carry_out(found: Iterable[rules.Breach], kinds: set[rules.Kind], policy: rules.Policy) -> None:
    now = clock.now()
    with database.transaction() as db:
        ours = [alert for alert in store.unresolved(db) if alert.fingerprint.partition("/")[0] in kinds]
        told = store.carry_out(db, rules.changes(found, ours, policy, now=now), at=now)
    for change in told:
        log.warning("alert", state=change.state, reason=change.reason, alert_id=change.alert_id)
    if told:
        app.send_task("notify.deliver")
