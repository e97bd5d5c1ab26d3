"""The only clock. Whatever decides takes `now` as an argument; whoever calls it asks here.

Two times are kept apart. The *world's* time is the one weddings live in; a demo may start it on any
Saturday and let it run fast. The *machine's* time is the one heartbeats, leases and job records live
in; it is never anything but real.
"""

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment, Moment

VARIABLE = "WEDOPS_CLOCK"


class ClockInvalid(ExpectedError):
    """WEDOPS_CLOCK={value!r} is no clock: write START|SPEED|SINCE, as 2026-10-10T13:00:00+00:00|60|1791637200
    (the world's moment, its seconds a second, and the real epoch second at which it began), or unset it"""


@dataclass(frozen=True)
class World:
    """A world that was at `start` when the machine's clock showed `since`, and runs `speed` times as fast."""

    start: datetime
    speed: float
    since: float

    def at(self, epoch: float) -> Moment:
        """Return the world's moment at a machine's epoch second."""
        return Moment(self.start + timedelta(seconds=(epoch - self.since) * self.speed))

    def __str__(self) -> str:
        return f"{self.start.isoformat()}|{self.speed:g}|{self.since}"


def world() -> World | None:
    """Return the demo's world, shared by all processes through the environment, or None in production."""
    value = os.environ.get(VARIABLE)
    return _world(value) if value else None


@cache
def _world(value: str) -> World:
    try:
        start, speed, since = value.split("|")
        moment = datetime.fromisoformat(start)
        if moment.tzinfo is None:
            raise ClockInvalid(value=value)
        return World(moment.astimezone(UTC), float(speed), float(since))
    except ValueError as error:
        raise ClockInvalid(value=value) from error


def now() -> Moment:
    """Return the world's moment, aware, in UTC."""
    demo = world()
    return demo.at(time.time()) if demo else Moment(datetime.now(UTC))


def of_the_world(moment: MachineMoment) -> Moment:
    """Return the world's moment at a moment of the machine's."""
    demo = world()
    return demo.at(moment.timestamp()) if demo else Moment(moment)


def of_the_machine(span: timedelta) -> timedelta:
    """Return how long a span of the world's time is on the machine's clock."""
    demo = world()
    return span / demo.speed if demo else span


def machine_now() -> MachineMoment:
    """Return the machine's moment, aware, in UTC: for job records and leases, never for weddings."""
    return MachineMoment(datetime.now(UTC))


def machine_at(epoch: float) -> MachineMoment:
    """Return the machine's moment so many seconds after 1970."""
    return MachineMoment(datetime.fromtimestamp(epoch, UTC))


def epoch() -> float:
    """Return the machine's moment as seconds since 1970: what goes into headers and Redis."""
    return time.time()


#: Returns seconds from an arbitrary start that never run backwards: for durations. A function around it would
#: be a tenth of what a read of a copy takes.
stopwatch = time.monotonic
#: Returns how many seconds of a processor this thread has taken.
processor = time.thread_time
