"""All that happened and all that was done, in the order of time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from redis.exceptions import RedisError

from workers.alerts.store import history as alerts
from workers.connections.usecases import permits
from workers.delivery.usecases import reading as delivery
from workers.emergencies.usecases import reading as emergencies
from workers.foundation import database, event_log
from workers.foundation.event_log import Happening
from workers.notify import usecases as notify
from workers.responses import usecases as responses
from workers.scaling.store import actions as scaling
from workers.scaling.store import orders
from workers.wedding_day.usecases import happened as wedding_day
from workers.weddings.rules.calendar import EVERYWHERE
from workers.weddings.store import weddings
from workers.weddings.usecases import happened as calendar

#: Of each kind the newest so many are looked at: those of one wedding may be few among them.
LOOKED_AT = 5_000
#: Each table that knows when something happened.
TABLES: tuple[Callable[..., list[Happening]], ...] = (
    alerts.happened,
    responses.happened,
    emergencies.happened,
    delivery.happened,
    notify.happened,
    scaling.happened,
    orders.happened,
    calendar.happened,
    wedding_day.happened,
    permits.happened,
)


@dataclass(frozen=True)
class Timeline:
    """What happened, the oldest first; what is missing and why; whether a server could not be reached."""

    happened: list[Happening]
    missing: list[str]
    unreachable: bool


def timeline(since: datetime, *, wedding_id: str = "", limit: int) -> Timeline:
    """Return the newest that happened since a moment, and which part could not be asked.

    With a wedding what was about it, its region or everybody. The other parts are shown all the same. Raises
    WeddingUnknown.
    """
    parts, missing = list[list[Happening]](), list[str]()
    try:
        with database.transaction() as db:
            region = weddings.require(db, wedding_id).region if wedding_id else ""
            parts = [happened(db, since, limit=LOOKED_AT) for happened in TABLES]
    except database.DatabaseUnavailable as error:
        region, missing = "", [str(error)]
    try:
        parts.append(event_log.since(since, limit=LOOKED_AT))
    except RedisError as error:
        missing.append(f"Redis does not answer ({error}); restarts, circuits and modes are not shown")
    unreachable = bool(missing)
    if any(len(part) >= LOOKED_AT for part in parts):
        missing.append(
            f"of one kind there are {LOOKED_AT} or more; what is older is left out: ask with a shorter "
            "--since"
        )
    ours = (one for part in parts for one in part if not wedding_id or _is_about(one, wedding_id, region))
    return Timeline(sorted(ours, key=lambda one: one.at)[-limit:], missing, unreachable)


def _is_about(one: Happening, wedding_id: str, region: str) -> bool:
    if one.wedding_id:
        return one.wedding_id == wedding_id
    return one.region in ("", EVERYWHERE, region)
