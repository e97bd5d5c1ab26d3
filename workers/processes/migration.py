"""Bringing servers to this version: schema, partitions, Redis functions, and what others read there."""

from workers.access.usecases import grants
from workers.connections.store import registry as connections
from workers.foundation import clock, database, logs, redis, schema, settings
from workers.journal import store as happened
from workers.journal import usecases as journal
from workers.measurements.usecases import keeping
from workers.scaling.rules.policy import Policy as Scaling
from workers.scaling.store import published
from workers.snapshots import usecases as snapshots
from workers.weddings import keys as weddings_keys

log = logs.get("migration")


def migrate() -> list[str]:
    """Bring the database and the Redis functions to this version; return the libraries.

    Safe to repeat, and while workers run.
    """
    schema.upgrade()
    with database.transaction() as db:
        keeping.make_partitions(db, now=clock.machine_now())
        snapshots.make_partitions(db, now=clock.now())
        journal.make_partitions(db, now=clock.now())
        if moved := happened.settle_in(db):
            log.warning("journal read on", readers=moved, reason="restored_from_another_server")
        published.publish(db, settings.read(Scaling))
    grants.grant_tables()
    libraries = redis.load_functions()
    connections.publish_limits()
    redis.registry().unlink(weddings_keys.FORMER)
    return libraries
