"""Making room for a peak that is known ahead."""

from datetime import datetime, timedelta

from workers.commands.usecases import commands
from workers.connections.rules import peak
from workers.connections.store import peaks
from workers.foundation import database, logs
from workers.foundation.moments import Moment
from workers.seasons import store as seasons
from workers.weddings.store import weddings

log = logs.get("connections")


def plan(expected: int, duration: timedelta) -> peak.PeakPlan:
    """Return what a peak needs, by what there is now; nothing is begun."""
    return peak.peak_plan(expected, duration, capacity=peaks.capacity())


def prepare_peak(expected: int, until: datetime, *, now: Moment) -> tuple[peak.PeakPlan, list[str]]:
    """Plan a peak and begin it; return the plan and the weddings that are warmed. Safe to repeat.

    Until `until` scaling keeps room, every job keeps the pace of a wedding day, guests wait a little as on
    any such day, and what is abandoned is ended every 30 s or sooner. A new plan takes the place of the one
    before.
    """
    found = plan(expected, until - now)
    with database.transaction() as db:
        warmed = peak.warmed(found, weddings.between(db, now, until))
    peaks.plan(found.needed, until)
    seasons.keep_pace(until)
    log.info("peak prepared", needed=found.needed, pools=found.pools, warmed=len(warmed), reason="requested")
    hour = f"{until:%Y-%m-%dT%H}"
    wanted = ({"wedding_id": one, "request_key": f"peak/{hour}/{one}"} for one in warmed)
    commands.accept_all("caching.warm_up", wanted, caller="connections.prepare_peak")
    return found, warmed


def end_peak() -> bool:
    """End a peak before its time: room, pace and sweep are the day's again; False when none was planned."""
    planned = bool(peaks.planned()[0])
    peaks.end()
    seasons.keep_pace(None)
    return planned
