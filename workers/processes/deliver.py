"""Sends what the outbox holds as soon as it is committed: woken by PostgreSQL, and each second besides."""

import threading
from collections.abc import Callable, Mapping
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from workers.alerts.usecases import live
from workers.commands.usecases import commands
from workers.delivery.usecases import broadcasting
from workers.foundation import background, clock, heartbeat, logs, wakeups
from workers.foundation.errors import ExpectedError
from workers.journal import store as journal
from workers.notify import usecases as notify
from workers.outbox import store as outbox
from workers.scaling.usecases import applying

log = logs.get("deliver")

#: In seconds: between looks when nobody wakes it (a pooler passes no wake-ups on), and a look at the longest.
EVERY, ENOUGH = 1.0, 10.0
#: A look that takes longer than this hangs.
LONGEST = 60.0
#: What is sent, each by a thread of its own: a target that hangs keeps no other kind waiting.
WORK: Mapping[str, Callable[[float], None]] = {
    "commands": commands.redeliver,
    "actions": applying.apply,
    "notifications": notify.deliver,
    "broadcasts": live.publish,
    "urgent broadcasts": broadcasting.broadcast,
}


def run(ended: threading.Event) -> None:
    """Send until told to end. Several may run: each entry is sent by one."""
    wakes = {name: threading.Event() for name in WORK}
    begun = dict.fromkeys(WORK, clock.stopwatch())
    heartbeat.keep(lambda: all(clock.stopwatch() - one < LONGEST for one in begun.values()))
    threads = [background.keep("deliver-wake", partial(_listen, wakes, ended), until=ended)]
    for name, work in WORK.items():
        loop = partial(_loop, name, work, wakes[name], begun, ended)
        threads.append(background.keep(f"deliver-{name}", loop, until=ended))
    ended.wait()
    # What is being sent is sent to its end, or a lease would have to run out first.
    for thread in threads:
        thread.join(ENOUGH)


def _listen(wakes: Mapping[str, threading.Event], ended: threading.Event) -> None:
    with wakeups.listening(outbox.CHANNEL, journal.CHANNEL) as listener:
        while not ended.is_set():
            if listener(EVERY):
                for wake in wakes.values():
                    wake.set()


def _loop(
    name: str,
    work: Callable[[float], None],
    wake: threading.Event,
    begun: dict[str, float],
    ended: threading.Event,
) -> None:
    while not ended.is_set():
        wake.clear()
        begun[name] = clock.stopwatch()
        try:
            work(ENOUGH)
        except (ExpectedError, SQLAlchemyError) as error:
            # A server that is unavailable: what waits has its row.
            log.error("nothing sent now", work=name, reason=type(error).__name__)
        wake.wait(EVERY)
