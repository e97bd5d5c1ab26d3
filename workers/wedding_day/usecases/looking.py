"""Looking at weddings when something of them is due, and doing what the look calls for."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from redis.exceptions import RedisError

from workers.caching.usecases import warming
from workers.foundation import clock, database, logs, settings, telemetry
from workers.foundation.moments import Moment
from workers.wedding_day.rules import looks as rules
from workers.wedding_day.store import looks as store
from workers.wedding_day.usecases import modes
from workers.weddings.rules import calendar
from workers.weddings.rules.modes import Hold
from workers.weddings.rules.modes import Policy as Modes
from workers.weddings.store import due, weddings

log = logs.get("wedding_day")


#: Farther away than this, one listing a day's time ahead is early enough.
AHEAD = timedelta(days=14)
#: So many weddings are looked at at once. A run stops after so many seconds; the next one goes on.
BATCH, ENOUGH = 500, 10.0
#: When a wedding whose data could not be made warm is looked at again.
RETRY_AFTER = timedelta(seconds=10)


_Policies = tuple[rules.Policy, calendar.Policy, Modes]


def _policies() -> _Policies:
    return settings.read(rules.Policy), settings.read(calendar.Policy), settings.read(Modes)


def list_due(*, now: Moment) -> None:
    """List the weddings to come to be looked at: those that are not listed, or too late, or due now.

    Redis may have lost them or been unavailable, a setting may have changed.
    """
    policies = _policies()
    with database.transaction() as db:
        ahead = weddings.between(db, now - policies[1].wind_down_lasts, now + AHEAD)
    seen, looks = store.seen([wedding.id for wedding in ahead]), dict[str, datetime]()
    for wedding in ahead:
        was = seen[wedding.id]
        later = rules.next_look(wedding, *policies, now=now)
        if rules.decide(wedding, was, *policies, now=now).now != was:
            looks[wedding.id] = now
        elif later:
            looks[wedding.id] = later
    due.list_again(looks, at=now)


def look(*, now: Moment) -> int:
    """Look at the weddings of which something is due; return how many.

    What is not done in time, or fails, is still due.
    """
    policies = _policies()
    begun, count = clock.stopwatch(), 0
    while clock.stopwatch() - begun < ENOUGH and (taken := due.take(now=now, limit=BATCH)):
        with database.transaction() as db:
            found = weddings.by_id(db, taken)
            held = modes.follow(db, found, now=now)
        missed = _look_at(found, policies, now)
        # One that is gone from the calendar is not looked at again.
        looks: dict[str, datetime | None] = dict.fromkeys(taken)
        looks |= {one.id: _next(one, held.get(one.id), policies, now) for one in found}
        store.forget(wedding_id for wedding_id, later in looks.items() if later is None)
        due.looked(taken, looks | dict.fromkeys(missed, now + RETRY_AFTER))
        count += len(taken)
    modes.settle_held(now=now)
    return count


def _next(wedding: calendar.Wedding, hold: Hold | None, policies: _Policies, now: Moment) -> datetime | None:
    later = rules.next_look(wedding, *policies, now=now)
    return min(one for one in (later, hold.until) if one) if hold else later


def _look_at(found: Sequence[calendar.Wedding], policies: _Policies, now: Moment) -> set[str]:
    """Note which phase each wedding is in, and have its data warm when its start is near.

    Return those whose data could not be made warm: nothing is noted of them.
    """
    seen = store.seen([wedding.id for wedding in found])
    decisions = {one.id: rules.decide(one, seen[one.id], *policies, now=now) for one in found}
    near = [one for one in found if decisions[one.id].warm_up]
    missed = set[str]() if _warm_up(near, decisions) else {wedding.id for wedding in near}
    changed = {
        wedding_id: decision
        for wedding_id, decision in decisions.items()
        if decision.now != seen[wedding_id] and wedding_id not in missed
    }
    store.remember({wedding_id: decision.now for wedding_id, decision in changed.items()})
    for wedding_id, decision in changed.items():
        telemetry.decisions.labels("wedding_day", decision.reason).inc()
        log.info("wedding moved on", wedding_id=wedding_id, phase=decision.now.phase, reason=decision.reason)
    return missed


def _warm_up(near: list[calendar.Wedding], decisions: Mapping[str, rules.Decision]) -> bool:
    """Have weddings warmed up until they are over; False when the registry can't note it."""
    wanted = {f"wedding_day/{one.id}/{decisions[one.id].now.warm_for}": (one.id, one.ends_at) for one in near}
    try:
        warming.request(wanted, "wedding_day")
    except RedisError as error:
        log.warning("not warmed up yet", weddings=len(near), reason="redis", detail=str(error))
        return False
    return True
