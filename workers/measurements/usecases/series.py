"""Looking at what was measured."""

from dataclasses import dataclass
from datetime import timedelta

from workers.foundation import database, partitions
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment
from workers.measurements.store import blocks, rollups
from workers.measurements.usecases import keeping

#: The levels that a series is shown by.
LEVELS = tuple(rollups.SPANS)


class NotRolledUp(ExpectedError):
    """{series!r} is measured, and nothing of the last {hours} h is rolled up yet: a minute or an hour is once
    it is over"""


class NothingMeasured(ExpectedError):
    """nothing was measured of {series!r} in the last {hours} h; `wedops metrics series` lists what is"""


def known(name: str = "") -> list[str]:
    """Return the texts of the series of a name, or of all: 1,000 at most."""
    with database.transaction() as db:
        return rollups.known(db, name)


def history(series: str, level: str, *, hours: int, now: MachineMoment) -> dict[str, list[rollups.Summary]]:
    """Return a series' summaries of the last hours by its text, or those of the first 20 of a name.

    Only those with any.
    """
    with database.transaction() as db:
        named = rollups.known(db, series.partition("{")[0], limit=1000)
        texts = [series] if "{" in series else named[:20]
        found = {text: rollups.history(db, text, level, now - timedelta(hours=hours), now) for text in texts}
    return {text: summaries for text, summaries in found.items() if summaries}


def nothing(series: str, *, hours: int) -> ExpectedError:
    """Return why there is nothing of a series."""
    named = known(series.partition("{")[0])
    is_known = series in named if "{" in series else bool(named)
    return (NotRolledUp if is_known else NothingMeasured)(series=series, hours=hours)


@dataclass(frozen=True)
class Room:
    """The days that points can be written to (None: none), and the tables that lack today or tomorrow."""

    first: str | None
    last: str | None
    missing: list[str]


def room(*, now: MachineMoment) -> Room:
    """Return whether there is room for what will be measured."""
    with database.transaction() as db:
        days, missing = partitions.known(db, blocks.BLOCKS), keeping.missing_partitions(db, now=now)
    return Room(str(days[0]) if days else None, str(days[-1]) if days else None, missing)
