"""Metrics, as Celery runs them."""

from workers.app import app
from workers.foundation import clock, database, logs, settings
from workers.metrics import rules, store

log = logs.get("metrics")


@app.task(name="metrics.retain")
def retain(**_later: object) -> None:
    """Make the partitions of the days to come, and drop those past retention."""
    policy, today = settings.read(rules.Policy, "METRICS_"), clock.now().date()
    with database.transaction() as db:
        store.make_partitions(db, rules.partitions(policy, today=today))
        dropped = rules.outdated(store.partition_days(db), policy, today=today)
        store.drop_partitions(db, dropped)
    log.info("retention done", reason="retention", dropped=[day.isoformat() for day in dropped])
