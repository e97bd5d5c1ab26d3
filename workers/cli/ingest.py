"""`wedops ingest`: the process that writes what is measured into PostgreSQL."""

import signal
import socket
from time import sleep
from uuid import uuid4

import click

from workers.foundation import clock, heartbeat, logs
from workers.measurements.usecases import intake

#: Points wait so long for company: a transaction a second, not one a push.
PAUSE, PAUSE_AFTER_FAILURE = 0.5, 2.0
#: In seconds.
LONGEST = 60.0


@click.command("ingest")
def command() -> None:
    """Write points from the stream into PostgreSQL until told to stop. Two may run: one writes, the other takes over."""
    logs.configure()
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: ended.append(number))
    writer = intake.writer(f"{socket.gethostname()}-{uuid4().hex}")
    begun = [clock.stopwatch()]
    # Servers that stand still are waited for, by their time-outs; who takes longer than this hangs.
    heartbeat.keep(lambda: clock.stopwatch() - begun[0] < LONGEST)
    while not ended:
        begun[0] = clock.stopwatch()
        writer, taken = intake.write(writer)
        if taken < 0:
            sleep(PAUSE_AFTER_FAILURE)
        elif not writer.full:
            sleep(PAUSE)
