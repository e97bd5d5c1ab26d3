"""`wedops migrate`."""

import click

from workers.connections.store import registry as connections
from workers.foundation import clock, database, redis, schema, settings
from workers.measurements.usecases import keeping
from workers.scaling.rules.policy import Policy as Scaling
from workers.scaling.store import published
from workers.snapshots import usecases as snapshots


@click.command("migrate")
def command() -> None:
    """Bring the database and the Redis functions to this version. Safe to repeat, and while workers run."""
    schema.upgrade()
    with database.transaction() as db:
        keeping.make_partitions(db, now=clock.machine_now())
        snapshots.make_partitions(db, now=clock.now())
        published.publish(db, settings.read(Scaling))
    libraries = redis.load_functions()
    connections.tell_limits()
    click.echo(f"database at the newest revision; functions loaded: {', '.join(libraries)}")
