"""Alerts, as Celery runs them: read, decide, remember, tell."""

from collections.abc import Callable, Iterable

from workers.alerts import actions, rules, store
from workers.app import app
from workers.foundation import clock, database, jobs, logs, redis, settings
from workers.metrics import rules as measuring
from workers.metrics import store as metrics

log = logs.get("alerts")

#: What `check` finds in measurements; `watch` finds all the rest.
MEASURED = (rules.Kind.RESPONSE_TIME, rules.Kind.ERROR_RATE)


@app.task(name="alerts.check")
def check(**_later: object) -> None:
    """Compare what was measured with the thresholds."""
    now, policy = clock.now(), settings.read(rules.Policy, "ALERTS_")
    fresh_for = settings.read(measuring.Policy, "METRICS_").fresh_for
    with database.transaction() as db:
        measured = metrics.latest(db, since=now - fresh_for)
    judged = rules.judged(measured, policy)
    _carry_out(rules.breaches(measured, policy), judged.__contains__, policy)


@app.task(name="alerts.watch")
def watch(**_later: object) -> None:
    """See that every job still runs, the broker is not full, every node is there and who matters is well connected."""
    policy = settings.read(rules.Policy, "ALERTS_")
    stopped = [record.name for record in jobs.records() if record.stopped()]
    with database.transaction() as db:
        found = actions.capacity(db, now=clock.now())
    found += rules.stopped(stopped) + rules.memory(redis.memory_used(), policy) + actions.realtime()
    _carry_out(found, lambda fingerprint: fingerprint.partition("/")[0] not in MEASURED, policy)


def _carry_out(found: Iterable[rules.Breach], judged: Callable[[str], bool], policy: rules.Policy) -> None:
    now = clock.now()
    with database.transaction() as db:
        ours = [alert for alert in store.unresolved(db) if judged(alert.fingerprint)]
        told = store.carry_out(db, rules.changes(found, ours, policy, now=now), at=now)
    for change in told:
        log.warning("alert", state=change.state, reason=change.reason, alert_id=change.alert_id)
    if told:
        app.send_task("notify.deliver", retry=False)
