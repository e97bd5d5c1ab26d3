"""What the calendar says of regions."""

from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy import Connection, func, select, text

from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import Status, Wedding
from workers.weddings.store import holds
from workers.weddings.store.tables import weddings
from workers.weddings.store.weddings import FACTS, facts_of, take_place

# From one region to the next by the index: DISTINCT reads a season's hundred thousand rows for a few names.
_REGIONS = text(
    """
    WITH RECURSIVE found AS (
        (SELECT region FROM weddings ORDER BY region LIMIT 1)
        UNION ALL
        SELECT (SELECT w.region FROM weddings w WHERE w.region > found.region ORDER BY w.region LIMIT 1)
        FROM found WHERE found.region IS NOT NULL)
    SELECT region FROM found WHERE region IS NOT NULL
    """
)


class RegionUnknown(ExpectedError):
    """no wedding is in region={region!r}; the calendar has {known}"""

    http_status = 422


def require(db: Connection, wanted: Iterable[str]) -> None:
    """Raise RegionUnknown for the first of these regions in which there are no weddings."""
    there = known(db)
    for region in wanted:
        if region not in there:
            raise RegionUnknown(region=region, known=", ".join(there) or "none")


def known(db: Connection) -> list[str]:
    """Return the regions that have weddings."""
    return list(db.execute(_REGIONS).scalars())


def revisions(db: Connection) -> dict[str, int]:
    """Return a number for each region: another one once any of its weddings was changed, or came, or went."""
    facts = func.concat_ws("/", func.count(), func.max(weddings.c.version), func.sum(weddings.c.version))
    rows = db.execute(select(weddings.c.region, func.hashtextextended(facts, 0)).group_by(weddings.c.region))
    return {row[0]: row[1] for row in rows}


def busy(db: Connection, start: datetime, end: datetime) -> set[str]:
    """Return the regions that have weddings which take place and overlap [start, end), or are held live."""
    found = db.execute(select(weddings.c.region).distinct().where(take_place(start, end))).scalars()
    return {*found, *(one.region for one in holds.live(db, start, end))}


def zones(db: Connection) -> dict[str, str]:
    """Return the zone that most weddings of each region are in."""
    common = func.mode().within_group(weddings.c.zone)
    return {
        row[0]: row[1] for row in db.execute(select(weddings.c.region, common).group_by(weddings.c.region))
    }


def bookings(db: Connection, start: datetime, end: datetime) -> list[tuple[str, date, int]]:
    """Return (region, local day of the start, weddings) for weddings that take place in [start, end)."""
    day = func.date(weddings.c.starts_local)
    rows = db.execute(
        select(weddings.c.region, day, func.count())
        .where(
            weddings.c.status != Status.CANCELLED, weddings.c.starts_at >= start, weddings.c.starts_at < end
        )
        .group_by(weddings.c.region, day)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def spans(db: Connection, start: datetime, end: datetime) -> list[tuple[str, Moment, Moment]]:
    """Return (region, start, end) of the weddings that take place and overlap [start, end).

    Those that are alike once.
    """
    facts = (weddings.c.region, weddings.c.starts_at, weddings.c.ends_at)
    return [
        (row[0], row[1], row[2])
        for row in db.execute(select(*facts).distinct().where(take_place(start, end)))
    ]


def of_day(db: Connection, day: date) -> list[Wedding]:
    """Return the weddings that begin on a local day, also those that are cancelled, by start."""
    query = select(*FACTS).where(func.date(weddings.c.starts_local) == day)
    return facts_of(db.execute(query.order_by(weddings.c.starts_at)))
