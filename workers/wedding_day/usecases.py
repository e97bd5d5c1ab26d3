"""Looking at a wedding, and doing what the look calls for."""

from datetime import timedelta

from workers.commands import usecases as commands
from workers.foundation import database, logs, settings, telemetry
from workers.foundation.moments import Moment
from workers.wedding_day import rules, store
from workers.weddings import rules as calendar
from workers.weddings.store import due, weddings

log = logs.get("wedding_day")


#: Farther away than this, one listing a day's time ahead is early enough.
AHEAD, LATEST = timedelta(days=14), timedelta(hours=3)


def list_due(*, now: Moment) -> None:
    """List the weddings to come to be looked at, those that are not listed.

    Redis may have lost them or been unavailable.
    """
    with database.transaction() as db:
        ahead = weddings.between(db, now - LATEST, now + AHEAD)
    due.list_due(ahead, at=now, anew=False)


def look(wedding_ids: list[str], *, now: Moment) -> None:
    """Look at weddings by their ids; those that are gone are passed over."""
    with database.transaction() as db:
        found = weddings.by_id(db, wedding_ids)
    look_at(found, now=now)


def look_at(found: list[calendar.Wedding], *, now: Moment) -> None:
    """Note which phase each wedding is in, and ask for its warm-up when its start is near."""
    policy, phases = settings.read(rules.Policy), settings.read(calendar.Policy)
    seen = store.seen([wedding.id for wedding in found])
    for wedding, before in zip(found, seen, strict=True):
        decision = rules.decide(wedding, before, policy, phases, now=now)
        if decision.warm_up:
            commands.accept(
                "caching.warm_up",
                {
                    "wedding_id": wedding.id,
                    "request_key": f"wedding_day/{wedding.id}/{decision.now.warm_for}",
                },
                caller="wedding_day.look",
            )
        if decision.now != before:
            store.remember({wedding.id: decision.now})
            telemetry.decisions.labels("wedding_day", decision.reason).inc()
            log.info(
                "wedding moved on", wedding_id=wedding.id, phase=decision.now.phase, reason=decision.reason
            )
