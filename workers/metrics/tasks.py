"""Metrics, as Celery runs them."""

from datetime import timedelta

from workers.app import app
from workers.foundation import clock, database, logs, settings
from workers.metrics import rules, store
from workers.seasons import store as seasons

log = logs.get("metrics")


@app.task(name="metrics.retain")
def retain(**_later: object) -> None:
    """Make the partitions of the days to come, note the last days' loads, and drop what is past retention."""
    policy, today = settings.read(rules.Policy, "METRICS_"), clock.now().date()
    with database.transaction() as db:
        store.make_partitions(db, rules.partitions(policy, today=today))
        for day in (today - timedelta(days=ago) for ago in (3, 2, 1)):
            seasons.note_loads(db, store.highest(db, day), day=day)
        dropped = rules.outdated(store.partition_days(db), policy, today=today)
        store.drop_partitions(db, dropped)
    log.info("retention done", reason="retention", dropped=[day.isoformat() for day in dropped])
