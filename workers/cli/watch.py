"""`wedops watch`."""

import click

from workers.foundation import logs
from workers.processes import ending, watch


@click.command("watch")
@click.option("--once", is_flag=True, help="Look once and end.")
def command(once: bool) -> None:
    """Look every 5 s at jobs, beat, queues, workers, servers and clocks.

    What is not as it should be becomes an alert.
    """
    logs.configure()
    watch.run(ending.on_signal(), once=once)
