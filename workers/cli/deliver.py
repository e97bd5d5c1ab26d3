"""`wedops deliver`."""

import click

from workers.foundation import logs
from workers.processes import deliver, ending, urgent


@click.command("deliver")
@click.option(
    "--urgent", "is_urgent", is_flag=True, help="The urgent lane instead: messages and their receipts."
)
def command(is_urgent: bool) -> None:
    """Send commands, notifications and broadcasts as soon as they are written, until told to stop.

    Several may run.
    """
    logs.configure()
    (urgent if is_urgent else deliver).run(ending.on_signal())
