"""Keeping the registry true: sweep, snapshot, audit."""

from workers.connections.rules import report
from workers.connections.store import aggregated, registry
from workers.connections.store import upkeep as store
from workers.connections.usecases.service import count
from workers.foundation import database, jobs, logs, redis
from workers.foundation.moments import MachineMoment, Moment
from workers.measurements.usecases import intake
from workers.snapshots import store as snapshots
from workers.weddings.store import regions as calendar_regions

log = logs.get("connections")

#: In seconds: an audit takes no longer, well inside a task's time limit.
ENOUGH = 5.0


def restore() -> list[str]:
    """Load functions and limits again; return the libraries."""
    libraries = redis.load_functions()
    registry.publish_limits()
    return libraries


def sweep() -> int:
    """End the connections that nobody holds any more; return how many."""
    if ended := store.sweep():
        jobs.tally("connections_swept", ended)
    return ended


def snapshot(*, now: Moment, machine: MachineMoment) -> None:
    """Write a row a region of what is open and what was counted, and count it for Prometheus."""
    totals = report.add_up(store.snapshot())
    with database.transaction() as db:
        rows = report.snapshots(
            totals, calendar_regions.known(db), at=now, but=aggregated.regions(machine.timestamp())
        )
        snapshots.append(db, rows)
    store.forget_counters()
    count(totals, rows)
    intake.offer(report.samples(rows, at=machine.timestamp()), sent_by="registry", now=machine)
    jobs.tally("connections_seen", sum(row.opened for row in rows))


def heaviest(*, machine: MachineMoment) -> list[report.HeavyUser]:
    """Return the users with the most messages among the open connections."""
    return report.heaviest(store.heaviest(), at=machine)


def audit() -> None:
    """Count some shards' records anew, going on where the last run ended; correct what drifted.

    Raises CountsDrifted.
    """
    found = store.audit(enough=ENOUGH)
    for drift in found.drifts:
        jobs.tally("connections_drifted")
        log.error(
            "count put right",
            reason="drift",
            shard=drift.shard,
            what=drift.name,
            was=drift.was,
            now=drift.now,
        )
    if found.uncounted:
        log.warning("shards not audited", reason="never_still", shards=found.uncounted)
    if found.drifts:
        raise store.CountsDrifted(count=len(found.drifts))
