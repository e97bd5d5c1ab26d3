"""Watching how wedding days go on: all of them at each look, in batches; who has to know is warned once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from zlib import crc32
from zoneinfo import ZoneInfo

import numpy as np
import orjson
from sqlalchemy import Connection

from workers.connections.store import upkeep as registry
from workers.delivery.store import summaries
from workers.foundation import clock, database, logs, redis, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.journal import store as journal
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.wedding_day.formats import DeviationAhead
from workers.wedding_day.rules import course, deviations, plans
from workers.wedding_day.rules.course import Course, Day
from workers.wedding_day.rules.deviations import Adherence, Deviation, Policy
from workers.wedding_day.rules.fitting import Fits
from workers.wedding_day.store import days as store
from workers.wedding_day.store import fits, metrics
from workers.wedding_day.store.days import WeddingDay
from workers.wedding_day.store.metrics import Metric
from workers.weddings.formats import timeline as formats
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Wedding, of_type
from workers.weddings.store import versions, weddings

log = logs.get("wedding_day")

#: So many days are watched at once; a run stops after so many seconds, and the next one begins anew.
BATCH, ENOUGH = 500, 20.0


@dataclass(frozen=True)
class Seen:
    """What a look saw: how many days, how many warnings were given, how many rows written."""

    days: int
    warnings: int
    rows: int


def watch(*, now: Moment) -> Seen:
    """Look at all days that are on or begin soon; warn of what will be late, write down what has changed."""
    policy, begun = settings.read(Policy), clock.stopwatch()
    phases = settings.read(calendar.Policy)
    with database.transaction() as db:
        learned = fits.current(db)
        near = versions.between(db, now - phases.wind_down_lasts, now + policy.watch_before)
        kept = store.versions(db, list(near))
    _begin([id for id, one in near.items() if kept.get(id) != one.version], phases)
    seen, warned, rows = 0, 0, 0
    # The nearest first, should there be no time for all of them.
    for ids in _pages(sorted(near, key=lambda id: abs(near[id].starts_at - now))):
        if clock.stopwatch() - begun > ENOUGH:
            log.warning("not all days were looked at", reason="slow", weddings=len(near) - seen)
            break
        try:
            found = _look(ids, learned, policy, now)
        except ExpectedError:
            raise
        except Exception as error:
            # One bad day must not hide all others.
            log.exception("days not looked at", reason=type(error).__name__, weddings=len(ids))
            continue
        seen, warned, rows = seen + found.days, warned + found.warnings, rows + found.rows
    return Seen(seen, warned, rows)


def _look(ids: Sequence[str], learned: Fits, policy: Policy, now: Moment) -> Seen:
    with database.transaction() as db:
        looks = _looks(store.of(db, ids), learned, policy, now)
        warned = _warn(db, looks, now)
        rows = _write(db, looks, policy, now)
    return Seen(len(looks), warned, rows)


def _begin(outdated: Sequence[str], phases: calendar.Policy) -> None:
    """Watch weddings whose day comes near, and those whose timeline or time has changed."""
    for ids in _pages(outdated):
        with database.transaction() as db:
            known = versions.with_versions(db, ids)
            store.begin(db, [_day(one, version, phases) for one, version in known.values()])


def _pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[first : first + BATCH] for first in range(0, len(ids), BATCH))


def ensure(db: Connection, wedding: Wedding) -> WeddingDay:
    """Return a wedding's day, which is watched from now on if it was not; nobody else changes it now."""
    found = store.find(db, wedding.id)
    [(newest, version)] = versions.with_versions(db, [wedding.id]).values()
    if found is None or found.version != version:
        store.begin(db, [_day(newest, version, settings.read(calendar.Policy))])
    return store.hold(db, wedding.id)


def _day(wedding: Wedding, version: int, phases: calendar.Policy) -> WeddingDay:
    plan = vars(plans.compiled(wedding, formats.known(wedding)))
    over = Moment(wedding.ends_at + phases.wind_down_lasts)
    facts = wedding.id, version, wedding.starts_at, over, str(wedding.venue_type), len(wedding.supplier_ids)
    return WeddingDay(*facts, "", None, plan, {}, {}, {}, [], wedding.guest_count)


@dataclass(frozen=True)
class _Look:
    kept: WeddingDay
    day: Day
    course: Course
    warnings: Sequence[Deviation]


def _looks(batch: Sequence[WeddingDay], learned: Fits, policy: Policy, now: Moment) -> list[_Look]:
    days = [one.day(now=now) for one in batch]
    late_by = policy.late_by.total_seconds() / 60
    courses = course.forecast(days, learned, late_by=late_by)
    return [
        _Look(kept, day, found, deviations.ahead(day, found, policy, warned=kept.warned))
        for kept, day, found in zip(batch, days, courses, strict=True)
    ]


def _warn(db: Connection, looks: Sequence[_Look], now: Moment) -> int:
    """Warn the owners and planners of moments that will be late, each moment once; return how many."""
    late = {look.kept.wedding_id: look for look in looks if look.warnings}
    if not late:
        return 0
    known = weddings.by_id(db, late)
    told = [(wedding, late[wedding.id], one) for wedding in known for one in late[wedding.id].warnings]
    reached = notify.reached(
        db, [(wedding.id, _named(wedding, look.day.plan.owners[one.place])) for wedding, look, one in told]
    )
    messages = [
        (_message(*one, who), who, one[0].id)
        for one, people in zip(told, reached, strict=True)
        for who in people
    ]
    notify.publish_all(db, messages)
    journal.append(db, [_event(*one) for one in told], at=now)
    warned = {id: [look.day.plan.ids[one.place] for one in look.warnings] for id, look in late.items()}
    store.note_warned(db, warned)
    return len(told)


#: A wedding, what a look saw of it, and a moment that will be late.
_Told = tuple[Wedding, _Look, Deviation]


def _event(wedding: Wedding, look: _Look, one: Deviation) -> DeviationAhead:
    plan = look.day.plan
    minutes = round(one.p50 - plan.starts[one.place])
    found = DeviationAhead(wedding.id, plan.ids[one.place], minutes, plan.ids[one.because])
    log.info(
        "deviation ahead", wedding_id=wedding.id, moment=found.moment, minutes=minutes, reason=found.because
    )
    return found


def _message(wedding: Wedding, look: _Look, one: Deviation, recipient: str) -> Notification:
    plan, moment = look.day.plan, look.day.plan.ids[one.place]
    because = plan.ids[one.because]
    planned, probably, at_most = (
        _local(wedding, minutes) for minutes in (plan.starts[one.place], one.p50, one.p90)
    )
    title = f"{wedding.id}: {moment} will probably start at {probably:%H:%M}, not {planned:%H:%M}"
    lines = [f"In nine of ten cases by {at_most:%H:%M} ({wedding.zone})."]
    if because != moment:
        lines.append(f"{because} holds it up.")
    if one.movable:
        movable = ", ".join(plan.ids[place] for place in one.movable)
        lines.append(f"What can still be shortened or moved: {movable}.")
    # Another plan is warned of anew.
    plan_of = crc32(orjson.dumps([look.kept.plan, look.kept.starts_at]))
    key = f"late/{wedding.id}/{moment}/{plan_of:08x}/{recipient}"
    return Notification(key, title, " ".join(lines), "high", wedding.id)


def _named(wedding: Wedding, owner: str) -> list[str]:
    """Return who is warned: a moment's owner, or the suppliers of that type, and the planner."""
    own = [*(of_type(wedding, owner) or [owner]), *calendar.planners(wedding)]
    return [one for one in dict.fromkeys(own) if one]


def _local(wedding: Wedding, minutes: float) -> datetime:
    at = wedding.starts_at.timestamp() + 60 * minutes
    return datetime.fromtimestamp(at, ZoneInfo(wedding.zone))


def _write(db: Connection, looks: Sequence[_Look], policy: Policy, now: Moment) -> int:
    """Write down how the days go whose state has changed, and of the others now and then; return how many."""
    news, told_by = list[tuple[_Look, Adherence]](), dict[str, str]()
    for look in looks:
        so_far = deviations.adherence(look.day, policy)
        told = _told_by(look, so_far, policy)
        if _is_news(look.kept, told, policy, now):
            news.append((look, so_far))
            told_by[look.kept.wedding_id] = told
    if news:
        people = _people(db, list(told_by))
        metrics.append(db, [_metric(*one, people[one[0].kept.wedding_id], now) for one in news])
        store.note_written(db, told_by, at=now)
    return len(news)


#: Connections of guests (None: not known), recipients of urgent messages, those that acknowledged, and
#: within how many seconds half of these had.
_People = tuple[int | None, int, int, float | None]


def _people(db: Connection, ids: Sequence[str]) -> dict[str, _People]:
    acknowledged = summaries.acknowledged(db, ids)
    try:
        guests: Mapping[str, int | None] = registry.guests_online(ids)
    except redis.UNREACHABLE:
        guests = dict.fromkeys(ids)
    return {id: (guests[id], *acknowledged.get(id, (0, 0, None))) for id in ids}


def _is_news(kept: WeddingDay, told: str, policy: Policy, now: Moment) -> bool:
    if kept.written_at is None or told != kept.written_by:
        return True
    # Not all at the same look: each at a time of its own.
    jitter = 0.75 + crc32(kept.wedding_id.encode()) / 2**33
    return now - kept.written_at >= jitter * policy.write_every


def _metric(look: _Look, so_far: Adherence, people: _People, now: Moment) -> Metric:
    kept, plan = look.kept, look.day.plan
    start = kept.starts_at.timestamp()
    columns = (look.course.p50.tolist(), look.course.p90.tolist(), look.course.late.tolist())
    moments = {
        id: (start + 60 * p50, start + 60 * p90, round(late, 3))
        for id, p50, p90, late in zip(plan.ids, *columns, strict=True)
        if not isnan(p50)
    }
    facts = so_far.due, so_far.reported, so_far.in_time, kept.suppliers, len(kept.arrived)
    bottleneck = deviations.bottleneck(look.day, look.course)
    return Metric(kept.wedding_id, now, *facts, bottleneck, moments, kept.guests, *people)


def _told_by(look: _Look, so_far: Adherence, policy: Policy) -> str:
    """Return what says that something has changed: not minutes, which each look moves a little."""
    known = len(look.day.reported.started), len(look.day.reported.ended), len(look.kept.arrived)
    late = np.flatnonzero(look.course.late >= policy.warn_at).tolist()
    return f"{so_far.due}/{so_far.in_time}/{'/'.join(map(str, (*known, *late)))}"
