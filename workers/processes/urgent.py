"""The urgent lane: a process of its own, on connections of its own, beside every queue."""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from workers.delivery.store import messages
from workers.delivery.usecases import escalation, publishing
from workers.foundation import background, clock, heartbeat, logs, wakeups
from workers.foundation.errors import ExpectedError
from workers.notify import usecases as notify
from workers.outbox import store as outbox

log = logs.get("deliver")

#: In seconds: between looks when nobody wakes it, between looks for steps that are due, after a failure, and
#: what takes longer hangs.
EVERY, STEPS_EVERY, PAUSE, LONGEST = 1.0, 0.5, 0.2, 30.0
#: Before all processes that ask for nothing.
PRIORITY = -5
#: For how long receipts are gathered, and between looks for those that a reader that died had read.
GATHERED, CLAIMED_EVERY = 0.02, 2.0
#: Notifications that are sent at once.
NOTIFIERS = 3


def run(ended: threading.Event) -> None:
    """Publish, hear and escalate until told to end. Several may run: each does what no other holds."""
    _go_first()
    begun: dict[str, float] = {}
    heartbeat.keep(lambda: all(clock.stopwatch() - one < LONGEST for one in list(begun.values())))
    reader = f"lane-{os.getpid()}-{clock.epoch():.0f}"
    wakes = [threading.Event() for _ in range(NOTIFIERS)]
    work: dict[str, Callable[[], None]] = {
        "wake": lambda: _wake(wakes, ended),
        **{
            f"notify-{number}": partial(_notify, f"notify-{number}", wake, begun, ended)
            for number, wake in enumerate(wakes)
        },
        "publish": lambda: _publish(begun, ended),
        "hear": lambda: _repeat("hear", _hear(reader, ended), begun, ended),
        "escalate": lambda: _repeat("escalate", _escalate(ended), begun, ended),
    }
    threads = [background.keep(f"urgent-{name}", one, until=ended) for name, one in work.items()]
    ended.wait()
    for thread in threads:
        thread.join(EVERY * 2)


def _go_first() -> None:
    """Have the system let this process go before others, where it lets us ask."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


def _publish(begun: dict[str, float], ended: threading.Event) -> None:
    with wakeups.hearing(messages.CHANNEL) as heard:
        looked, payloads, done = 0.0, [""], list[str]()
        while not ended.is_set():
            forwarded = payloads and all(payloads)
            if forwarded:
                _once("publish", lambda: done.extend(publishing.forward(payloads)), begun)  # noqa: B023
            if not forwarded or clock.stopwatch() - looked > EVERY:
                _once("publish", lambda: _look(done), begun)
                looked = clock.stopwatch()
            payloads = heard(EVERY)


def _look(done: list[str]) -> None:
    """Publish what was written while nobody listened, is too long for a notification, or is due again."""
    publishing.mark_published(done)
    done.clear()
    publishing.publish()


def _wake(wakes: Sequence[threading.Event], ended: threading.Event) -> None:
    with wakeups.listening(outbox.CHANNEL) as listener:
        while not ended.is_set():
            if listener(EVERY):
                for wake in wakes:
                    wake.set()


def _notify(name: str, wake: threading.Event, begun: dict[str, float], ended: threading.Event) -> None:
    """Send notifications that are critical: several at once, for a target may take its time."""
    while not ended.is_set():
        wake.clear()
        _once(name, partial(notify.deliver, EVERY, emergency=True), begun)
        wake.wait(EVERY)


def _hear(reader: str, ended: threading.Event) -> Callable[[], object]:
    claimed = [0.0]

    def _receipts() -> None:
        abandoned = clock.stopwatch() - claimed[0] > CLAIMED_EVERY
        if abandoned:
            claimed[0] = clock.stopwatch()
        if publishing.hear(reader, abandoned=abandoned, now=clock.now()):
            # Receipts are safe where they are: many of them are remembered by one transaction.
            ended.wait(GATHERED)

    return _receipts


def _escalate(ended: threading.Event) -> Callable[[], object]:
    def _steps() -> None:
        escalation.escalate(now=clock.now())
        ended.wait(STEPS_EVERY)

    return _steps


def _repeat(name: str, work: Callable[[], object], begun: dict[str, float], ended: threading.Event) -> None:
    while not ended.is_set():
        if not _once(name, work, begun):
            ended.wait(PAUSE)


def _once(name: str, work: Callable[[], object], begun: dict[str, float]) -> bool:
    """Do it once; False when a server was unavailable: what waits has its row, or is in its stream."""
    begun[name] = clock.stopwatch()
    try:
        work()
        return True
    except (ExpectedError, SQLAlchemyError, RedisError) as error:
        log.error("urgent lane waits", work=name, reason=type(error).__name__)
        return False
