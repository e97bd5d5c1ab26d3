"""Watching how wedding days go on: all of them at each look, in batches; who has to know is warned once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from workers.foundation import clock, database, logs, settings
from workers.foundation.moments import Moment
from workers.journal import store as journal
from workers.notify import usecases as notify
from workers.notify.rules import CONTACTS, OPERATIONS, Notification
from workers.wedding_day.formats import DeviationAhead
from workers.wedding_day.rules import course, deviations, plans
from workers.wedding_day.rules.course import Course, Day
from workers.wedding_day.rules.deviations import Deviation, Policy
from workers.wedding_day.rules.fitting import Fits
from workers.wedding_day.store import days as store
from workers.wedding_day.store import fits, metrics, written
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
    _begin([id for id, version in near.items() if kept.get(id) != version], phases)
    seen, warned, rows = 0, 0, 0
    for ids in _pages(sorted(near)):
        if clock.stopwatch() - begun > ENOUGH:
            log.warning("not all days were looked at", reason="slow", weddings=len(near) - seen)
            break
        with database.transaction() as db:
            looks = _looks(store.of(db, ids), learned, policy, now)
            warned += _warn(db, looks, now)
            rows += _write(db, looks, policy, now)
        seen += len(looks)
    return Seen(seen, warned, rows)


def begin_anew() -> None:
    """Forget what was written last of each day: those that are over would stay for ever."""
    written.clear()


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
    [(_, version)] = versions.with_versions(db, [wedding.id]).values()
    if found is None or found.version != version:
        store.begin(db, [_day(wedding, version, settings.read(calendar.Policy))])
    return store.hold(db, wedding.id)


def _day(wedding: Wedding, version: int, phases: calendar.Policy) -> WeddingDay:
    plan = vars(plans.compiled(wedding, formats.known(wedding)))
    over = Moment(wedding.ends_at + phases.wind_down_lasts)
    facts = wedding.id, version, wedding.starts_at, over, str(wedding.venue_type), ""
    return WeddingDay(*facts, len(wedding.supplier_ids), plan, {}, {}, {}, [])


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
    for wedding in weddings.by_id(db, late):
        for one in late[wedding.id].warnings:
            _warn_of(db, wedding, late[wedding.id], one, now)
    warned = {id: [look.day.plan.ids[one.place] for one in look.warnings] for id, look in late.items()}
    store.note_warned(db, warned)
    return sum(map(len, warned.values()))


def _warn_of(db: Connection, wedding: Wedding, look: _Look, one: Deviation, now: Moment) -> None:
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
        lines.append(
            f"What can still be shortened or moved: {', '.join(plan.ids[place] for place in one.movable)}."
        )
    key = f"late/{wedding.id}/{moment}/{look.kept.version}"
    for recipient in _recipients(db, wedding, plan.owners[one.place]):
        message = Notification(f"{key}/{recipient}", title, " ".join(lines), "high", wedding.id)
        notify.publish(db, message, recipient=recipient, wedding_id=wedding.id)
    minutes = round(one.p50 - plan.starts[one.place])
    journal.append(db, [DeviationAhead(wedding.id, moment, minutes, because)], at=now)
    log.info("deviation ahead", wedding_id=wedding.id, moment=moment, minutes=minutes, reason=because)


def _recipients(db: Connection, wedding: Wedding, owner: str) -> list[str]:
    """Return who is warned: the owner, or the suppliers of that type, and the planner; else the contacts."""
    named = [*(of_type(wedding, owner) or [owner]), *calendar.planners(wedding)]
    reached = [one for one in dict.fromkeys(named) if one and notify.own_targets(db, one, wedding.id)]
    if reached:
        return reached
    return [CONTACTS] if owner != OPERATIONS else [OPERATIONS]


def _local(wedding: Wedding, minutes: float) -> datetime:
    at = wedding.starts_at.timestamp() + 60 * minutes
    return datetime.fromtimestamp(at, ZoneInfo(wedding.zone))


def _write(db: Connection, looks: Sequence[_Look], policy: Policy, now: Moment) -> int:
    """Write down how the days go whose state has changed, and of the others now and then."""
    rows = [_metric(look, policy, now) for look in looks]
    fresh = written.changed(
        {row.wedding_id: _told_by(row) for row in rows}, now=now, every=policy.write_every
    )
    metrics.append(db, [row for row in rows if row.wedding_id in fresh])
    return len(fresh)


def _metric(look: _Look, policy: Policy, now: Moment) -> Metric:
    kept, plan, so_far = look.kept, look.day.plan, deviations.adherence(look.day, policy)
    start = kept.starts_at.timestamp()
    moments = {
        id: (start + 60 * p50, start + 60 * p90, round(late, 3))
        for id, p50, p90, late in _to_come(plan.ids, look.course)
    }
    bottleneck = deviations.bottleneck(look.day, look.course)
    facts = so_far.due, so_far.reported, so_far.in_time, kept.suppliers, len(kept.arrived)
    return Metric(kept.wedding_id, now, *facts, bottleneck, moments)


def _to_come(ids: Sequence[str], found: Course) -> Iterator[tuple[str, float, float, float]]:
    columns = (found.p50.tolist(), found.p90.tolist(), found.late.tolist())
    return (row for row in zip(ids, *columns, strict=True) if row[1] == row[1])


def _told_by(row: Metric) -> str:
    """Return what of a row says that something has changed: not minutes, which each look moves a little."""
    late = "".join(id for id, (_, _, share) in row.moments.items() if share >= 0.5)
    return f"{row.due}/{row.reported}/{row.in_time}/{row.arrived}/{len(row.moments)}/{row.bottleneck}/{late}"
