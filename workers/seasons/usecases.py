"""Finding what changed."""

from datetime import date, timedelta

from sqlalchemy import Connection

from workers.commands.usecases import commands
from workers.foundation import database, logs, settings
from workers.foundation.moments import Moment
from workers.seasons import adapters, store
from workers.seasons.rules import days as local_days
from workers.seasons.rules import deciding
from workers.seasons.rules import season as rules
from workers.seasons.rules.days import Day
from workers.weddings.store import holds, weddings
from workers.weddings.store import regions as calendar_regions

log = logs.get("seasons")

#: When its peak begins, so many of a region's largest weddings of the coming days are warmed.
WARMED, DAYS = 30, 7


def detect(db: Connection, *, now: Moment) -> dict[str, rules.Decision]:
    """Find the season of each region from its bookings and its load.

    Remember and return those that changed.
    """
    policy, by_region = settings.read(rules.Policy), dict[str, list[tuple[date, int]]]()
    for region, day, count in calendar_regions.bookings(
        db, now - timedelta(days=183), now + timedelta(days=190)
    ):
        by_region.setdefault(region, []).append((day, count))
    loads, before = store.observed(db, since=now.date() - timedelta(days=366)), store.current(db)
    found = {
        name: deciding.decide(
            name,
            by_region.get(name, []),
            policy,
            today=now.date(),
            loads=loads.get(name, ()),
            before=before.get(name),
        )
        for name in sorted(by_region.keys() | before)
    }
    return {region: found[region] for region in store.record(db, found, at=now)}


def warm(region: str, *, now: Moment) -> list[str]:
    """Ask for the warm-up of a region's largest weddings of the coming days, once a day; return their ids.

    Raises RegionUnknown.
    """
    with database.transaction() as db:
        calendar_regions.require(db, [region])
        coming = weddings.between(db, now, now + timedelta(days=DAYS), region=region)
    ids = [one.id for one in sorted(coming, key=lambda one: -one.guest_count)[:WARMED]]
    day = f"{now:%Y-%m-%d}"
    wanted = ({"wedding_id": one, "request_key": f"season/{region}/{day}/{one}"} for one in ids)
    commands.accept_all("caching.warm_up", wanted, caller="seasons.detect")
    return ids


def publish_day(*, now: Moment) -> None:
    """Publish to beat what kind of day it is, so that every job keeps its pace."""
    policy = settings.read(rules.Policy)
    with database.transaction() as db:
        near = weddings.between(db, now - policy.near_after, now + policy.near_before, limit=1)
        held = bool(holds.live(db, now, now))
        kind, reason = rules.kind_of_day(near, store.current(db).values(), policy, now=now, held=held)
    if before := store.publish_day(kind, reason):
        log.info("kind of day changed", before=before, to=kind, reason=reason)


def days(db: Connection, start: Moment, end: Moment) -> list[Day]:
    """Return the local days of [start, end) on which regions have weddings: which are big.

    What is usual is learned of three months around.
    """
    around = timedelta(days=90)
    zones = calendar_regions.zones(db)
    booked = calendar_regions.bookings(db, start - around, end + around)
    holidays = {(region, day): adapters.name(zones[region], day) for region, day, _ in booked}
    first, last = (start - timedelta(days=1)).date(), (end + timedelta(days=1)).date()
    return [one for one in local_days.days(booked, holidays) if first <= one.day <= last]
