"""Connections, as Celery runs them."""

from workers.app import app
from workers.connections import rules, store
from workers.foundation import clock, database, jobs, logs
from workers.metrics import store as metrics
from workers.seasons import store as seasons
from workers.seasons.rules import KindOfDay
from workers.weddings import store as weddings

log = logs.get("connections")


@app.task(name="connections.sweep")
def sweep(**_later: object) -> None:
    """End the connections that nobody holds any more, and have their gateways close them."""
    if ended := store.sweep():
        jobs.tally("connections_swept", ended)
        log.info("connections ended", count=ended, reason="abandoned")


@app.task(name="connections.snapshot")
def snapshot(**_later: object) -> None:
    """Write what is open, and what went by since the last time, to PostgreSQL: a row a region."""
    with database.transaction() as db:
        rows = rules.snapshots(store.snapshot(), weddings.regions(db), at=clock.now())
        metrics.append(db, rows)
    jobs.tally("connections_seen", sum(row.opened for row in rows))


@app.task(name="connections.tell_levels")
def tell_levels(**_later: object) -> None:
    """Tell gateways what each class of people gets on this kind of day."""
    store.tell_levels(rules.service_levels(busy=seasons.kind_of_day() is KindOfDay.WEDDING_DAY))
