"""`wedops ingest`."""

import click

from workers.foundation import logs
from workers.processes import ending, ingest


@click.command("ingest")
def command() -> None:
    """Write points from the stream into PostgreSQL until told to stop.

    Two may run: one writes, the other takes over.
    """
    logs.configure()
    ingest.run(ending.on_signal())
