"""`wedops migrate`."""

import click

from workers.connections import store as connections
from workers.foundation import clock, database, redis, schema
from workers.metrics import actions as metrics


@click.command("migrate")
def command() -> None:
    """Bring the database and the Redis functions to this version. Safe to repeat, and while workers run."""
    schema.upgrade()
    with database.transaction() as db:
        metrics.make_partitions(db, world=clock.now(), now=clock.machine_now())
    libraries = redis.load_functions()
    connections.tell_limits()
    click.echo(f"database at the newest revision; functions loaded: {', '.join(libraries)}")
