"""`wedops deliver`."""

import click

from workers.foundation import logs
from workers.processes import deliver, ending


@click.command("deliver")
def command() -> None:
    """Send commands, notifications and broadcasts as soon as they are written, until told to stop.

    Several may run.
    """
    logs.configure()
    deliver.run(ending.on_signal())
