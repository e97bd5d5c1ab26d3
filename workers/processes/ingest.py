"""Writes what is measured into PostgreSQL."""

import socket
import threading
from uuid import uuid4

from workers.foundation import clock, heartbeat
from workers.measurements.usecases import intake

#: Points wait so long for company: a transaction a second, not one a push.
PAUSE, PAUSE_AFTER_FAILURE = 0.5, 2.0
#: In seconds.
LONGEST = 60.0


def run(ended: threading.Event) -> None:
    """Write points from the stream until told to end. Two may run: one writes, the other takes over."""
    writer = intake.writer(f"{socket.gethostname()}-{uuid4().hex}")
    begun = [clock.stopwatch()]
    # Servers that stand still are waited for, by their time-outs; who takes longer than this hangs.
    heartbeat.keep(lambda: clock.stopwatch() - begun[0] < LONGEST)
    while not ended.is_set():
        begun[0] = clock.stopwatch()
        writer, taken = intake.write(writer)
        if taken < 0:
            ended.wait(PAUSE_AFTER_FAILURE)
        elif not writer.full:
            ended.wait(PAUSE)
    intake.end(writer)
