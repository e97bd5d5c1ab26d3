"""The words the table is written in. A pace says when a job was due last; everything else follows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zlib import crc32

DAY = 86_400.0


@dataclass(frozen=True)
class Pace:
    """Due every `every` seconds, `offset` seconds after a multiple of it since 1970."""

    every: float
    offset: float | None = None

    def due(self, name: str, at: float) -> float:
        """Return the last moment at or before `at` when job `name` was due.

        Moments lie on a fixed grid, so that every beat knows the same ones without talking; where no offset
        is set, the name gives one, so that jobs of one pace do not all start at once.
        """
        offset = crc32(name.encode()) % int(self.every * 1000) / 1000 if self.offset is None else self.offset
        return (at - offset) // self.every * self.every + offset

    @property
    def grace(self) -> float:
        """Return for how long after its moment a job may still start.

        A pace, but for slow jobs an hour at most.
        """
        return min(self.every, 3600.0)


def seconds(count: float) -> Pace:
    """Every `count` seconds."""
    return Pace(float(count))


def minutes(count: float) -> Pace:
    """Every `count` minutes."""
    return Pace(count * 60.0)


def daily_at(clock: str) -> Pace:
    """Once a day at a time of day in UTC, e.g. "03:10"; UTC, so that no clock change skips or doubles it."""
    time = datetime.strptime(clock, "%H:%M").replace(tzinfo=UTC)
    return Pace(DAY, timedelta(hours=time.hour, minutes=time.minute).total_seconds())
