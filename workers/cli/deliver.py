"""`wedops deliver`: the process that sends what is written."""

import signal
import threading

import click

from workers.foundation import logs
from workers.processes import deliver


@click.command("deliver")
def command() -> None:
    """Send commands, notifications and broadcasts as soon as they are written, until told to stop. Several may run."""
    logs.configure()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    deliver.run(ended)
