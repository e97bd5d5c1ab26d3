"""`wedops ingest`: the process that writes what is measured into PostgreSQL."""

import os
import signal
import socket
from time import sleep

import click

from workers.foundation import heartbeat, logs
from workers.metrics import actions
from workers.metrics.store.points import Writer

#: Points wait so long for company: a transaction a second, not one a push.
PAUSE, PAUSE_AFTER_FAILURE = 0.5, 2.0


@click.command("ingest")
def command() -> None:
    """Write points from the stream into PostgreSQL until told to stop. Two may run: one writes, the other takes over."""
    logs.configure()
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: ended.append(number))
    writer = Writer(f"{socket.gethostname()}-{os.getpid()}")
    while not ended:
        heartbeat.touch()
        writer, taken = actions.write(writer)
        if taken < 0:
            sleep(PAUSE_AFTER_FAILURE)
        elif taken < 10_000:
            sleep(PAUSE)
