"""`wedops watch`."""

import click

from workers.foundation import logs
from workers.processes import ending, watch


@click.command("watch")
@click.option("--once", is_flag=True, help="Look once and end.")
def command(once: bool) -> None:
    """Look every 5 s whether jobs, beat, queues, workers, servers and clocks are as they should be.

    Alert when not.
    """
    logs.configure()
    watch.run(ending.on_signal(), once=once)
