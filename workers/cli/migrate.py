"""`wedops migrate`."""

import click

from workers.processes import migration


@click.command("migrate")
def command() -> None:
    """Bring the database and the Redis functions to this version. Safe to repeat, and while workers run."""
    libraries = migration.migrate()
    click.echo(f"database at the newest revision; functions loaded: {', '.join(libraries)}")
