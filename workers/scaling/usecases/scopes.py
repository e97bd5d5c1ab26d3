"""Where there is something to steer."""

from sqlalchemy import Connection

from workers.foundation.errors import ExpectedError
from workers.scaling.store import actions as store
from workers.weddings.rules.calendar import EVERYWHERE
from workers.weddings.store import regions as calendar_regions


class RegionUnknown(ExpectedError):
    """region {region!r} has no weddings; there are {known}, and `everywhere` for the cache, database
    connections and workers"""

    http_status = 404


def scopes(db: Connection) -> list[str]:
    """Return where there is something to steer.

    Regions of the calendar, those that were once, and EVERYWHERE.
    """
    return [*dict.fromkeys([*calendar_regions.known(db), *store.regions(db), EVERYWHERE])]


def require(db: Connection, region: str) -> None:
    """Raise RegionUnknown where there is nothing to steer."""
    check(region, scopes(db))


def check(region: str, known: list[str]) -> None:
    """Raise RegionUnknown for a region that is not among those known."""
    if region not in known:
        named = ", ".join(name for name in known if name != EVERYWHERE)
        raise RegionUnknown(region=region, known=named or "none yet: import a calendar")
