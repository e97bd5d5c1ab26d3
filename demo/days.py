"""How the days of the demo's weddings go: their people report each moment as it starts and ends.

python -m demo.days         follows the calendar and the world's clock
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from heapq import heappop, heappush
from math import isnan
from threading import Event
from zlib import crc32

import httpx2
import numpy as np

from demo.addresses import API
from workers.connections.formats import permits
from workers.foundation import clock, database, heartbeat, logs
from workers.foundation.moments import Moment
from workers.simulation.rules import days
from workers.weddings.formats import timeline
from workers.weddings.rules.calendar import Wedding, of_type
from workers.weddings.rules.timeline import TimelineMoment
from workers.weddings.store import weddings

log = logs.get("days")

#: In seconds: how often it is looked for what is due, and the calendar for who comes next.
EVERY, LOOK_AHEAD_EVERY = 0.5, 30.0
#: From so long before a ceremony a day is known, and until so long after it reports are sent.
BEFORE, AFTER = timedelta(hours=8), timedelta(hours=7)
#: When suppliers arrive who own no moment.
SET_UP = timedelta(hours=2)


@dataclass(frozen=True, order=True)
class Report:
    """What is said of a moment, by whom, and when; `happened` is when it was."""

    due: Moment
    happened: Moment
    wedding_id: str
    moment: str
    what: str
    by: str


def reports(wedding: Wedding, *, now: Moment) -> list[Report]:
    """Return what will be said of a wedding's day: the same each time it is asked."""
    moments = timeline.known(wedding)
    went = days.went(wedding.venue_type, "dry", np.random.default_rng(crc32(wedding.id.encode())))
    found = [one for pair in zip(moments, went, strict=False) for one in _said(wedding, *pair)]
    found += [_arrival(wedding, one, found) for one in wedding.supplier_ids]
    return [one for one in found if one.due >= now - timedelta(minutes=30)]


def _said(wedding: Wedding, moment: TimelineMoment, went: days.Went) -> Iterator[Report]:
    by = next(iter(of_type(wedding, moment.owner)), "planner")
    for what, at, said in (
        ("started", went.started, went.start_reported),
        ("ended", went.ended, went.end_reported),
    ):
        if not isnan(said):
            due, happened = (Moment(wedding.starts_at + timedelta(minutes=one)) for one in (said, at))
            yield Report(due, happened, wedding.id, moment.id, what, by)


def _arrival(wedding: Wedding, supplier: str, said: list[Report]) -> Report:
    """Return when a supplier arrives: a quarter of an hour before its first moment, else to set up."""
    first = min((one.happened for one in said if one.by == supplier), default=wedding.starts_at - SET_UP)
    at = Moment(first - timedelta(minutes=15))
    return Report(at, at, wedding.id, "", "arrived", supplier)


def _send(client: httpx2.Client, one: Report) -> None:
    vendor = one.by if one.by != "planner" else None
    permit = permits.Permit(one.by, "vendor" if vendor else "planner", one.wedding_id, vendor)
    body = {"what": one.what, "moment": one.moment, "at": one.happened.isoformat()}
    try:
        answer = client.post(
            f"/v1/weddings/{one.wedding_id}/reports",
            json=body | {"key": f"{one.moment}/{one.what}"},
            headers={"Authorization": f"Bearer {permits.issue(permit)}"},
        )
        if answer.status_code != httpx2.codes.OK:
            log.warning("not reported", wedding_id=one.wedding_id, reason=str(answer.status_code))
    except httpx2.HTTPError as error:
        log.warning("not reported", wedding_id=one.wedding_id, reason=type(error).__name__)


class Days:
    """What will be said of the days that are near, in the order of time."""

    def __init__(self) -> None:
        """Know of none yet."""
        self._waiting: list[Report] = []
        self._known: set[str] = set()

    def look_ahead(self, *, now: Moment) -> None:
        """Add the days that come near."""
        with database.transaction() as db:
            near = weddings.between(db, Moment(now - AFTER), now + BEFORE)
        for wedding in near:
            if wedding.id not in self._known:
                self._known.add(wedding.id)
                for one in reports(wedding, now=now):
                    heappush(self._waiting, one)

    def due(self, *, now: Moment) -> Iterator[Report]:
        """Yield what is to be said by now, once."""
        while self._waiting and self._waiting[0].due <= now:
            yield heappop(self._waiting)


def main() -> None:
    """Report what happens, until ended."""
    logs.configure()
    known, looked = Days(), float("-inf")
    with httpx2.Client(base_url=API, timeout=5) as client:
        while True:
            if clock.stopwatch() - looked > LOOK_AHEAD_EVERY:
                looked = clock.stopwatch()
                known.look_ahead(now=clock.now())
            for one in known.due(now=clock.now()):
                _send(client, one)
            heartbeat.touch()
            Event().wait(EVERY)


if __name__ == "__main__":
    main()
