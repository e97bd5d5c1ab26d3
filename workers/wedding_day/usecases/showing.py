"""How a wedding's day goes, for people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from workers.foundation import database, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.wedding_day.rules import course, deviations
from workers.wedding_day.rules.deviations import Policy
from workers.wedding_day.store import days, fits, metrics
from workers.weddings.formats import timeline as formats
from workers.weddings.rules import timeline as rules
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings


class DayUnknown(ExpectedError):
    """the day of {wedding_id} is not watched yet: that begins {before} before it; `wedops weddings timeline
    {wedding_id}` shows its plan"""

    http_status = 404


@dataclass(frozen=True)
class Line:
    """A moment: as planned, as it went, else when it will start: at half the chance, and at nine of ten."""

    id: str
    owner: str
    critical: bool
    planned: datetime
    started: datetime | None
    ended: datetime | None
    p50: datetime | None
    p90: datetime | None
    late: float | None
    is_warned: bool


@dataclass(frozen=True)
class DayView:
    """How a day goes: its moments in order, what holds up others most, who has arrived."""

    wedding: Wedding
    lines: Sequence[Line]
    bottleneck: str
    arrived: Sequence[str]


def show(wedding_id: str, *, now: Moment) -> DayView:
    """Return how a wedding's day goes. Raises WeddingUnknown, DayUnknown."""
    policy = settings.read(Policy)
    with database.transaction() as db:
        wedding, kept, learned = weddings.require(db, wedding_id), days.find(db, wedding_id), fits.current(db)
    if kept is None:
        raise _unknown(wedding_id)
    day = kept.day(now=now)
    [found] = course.forecast([day], learned, late_by=policy.late_by.total_seconds() / 60)
    lines = [_line(kept, day, found, one) for one in rules.in_order(formats.known(wedding))]
    return DayView(
        wedding, [one for one in lines if one], deviations.bottleneck(day, found), sorted(kept.arrived)
    )


def critical_moments(
    db: Connection, ids: Sequence[str], *, now: Moment
) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Return how the critical moments of weddings went, counted, and which were late, by wedding.

    Counted: `reported`, of these `late`, and those `warned` of among them.
    """
    policy, counts, late = settings.read(Policy), Counter[str](), dict[str, list[str]]()
    for kept in days.of(db, ids):
        reported, own = deviations.late_moments(kept.day(now=now), policy)
        late[kept.wedding_id] = own
        counts.update(reported=reported, late=len(own), warned=sum(one in kept.warned for one in own))
    return dict(counts), late


@dataclass(frozen=True)
class Course:
    """How the forecast of a moment went on: when it was made, and the starts that it gave.

    `started` is when it started, None where that is not known.
    """

    moment: str
    planned: datetime
    at: Sequence[datetime]
    p50: Sequence[datetime]
    p90: Sequence[datetime]
    started: datetime | None
    is_warned: bool


#: So many rows of a day are drawn: it has some hundreds.
ROWS = 5_000


def courses(wedding_id: str) -> list[Course]:
    """Return how the forecasts of a wedding's critical moments went on. Raises WeddingUnknown, DayUnknown."""
    with database.transaction() as db:
        weddings.require(db, wedding_id)
        kept, rows = days.find(db, wedding_id), metrics.of_wedding(db, wedding_id, limit=ROWS)
    if kept is None:
        raise _unknown(wedding_id)
    plan = kept.plan
    critical = [
        (id, start)
        for id, start, own in zip(plan["ids"], plan["starts"], plan["critical"], strict=True)
        if own
    ]
    return [_course(kept, id, start, rows) for id, start in critical]


def _course(kept: days.WeddingDay, id: str, start: float, rows: Sequence[Mapping[str, Any]]) -> Course:
    own = [(row["at"], row["moments"][id]) for row in reversed(rows) if id in row["moments"]]
    p50, p90 = ([datetime.fromtimestamp(one[place], UTC) for _, one in own] for place in (0, 1))
    started = _at(kept.started.get(id))
    return Course(id, _of(kept, start), [at for at, _ in own], p50, p90, started, id in kept.warned)


def _unknown(wedding_id: str) -> DayUnknown:
    before = settings.read(Policy).watch_before.total_seconds() / 3600
    return DayUnknown(wedding_id=wedding_id, before=f"{before:g} h")


def _line(
    kept: days.WeddingDay, day: course.Day, found: course.Course, one: rules.TimelineMoment
) -> Line | None:
    if one.id not in day.plan.ids:
        # It was added a moment ago.
        return None
    place = list(day.plan.ids).index(one.id)
    started, ended = (_at(times.get(one.id)) for times in (kept.started, kept.ended))
    open_ = found.p50[place] == found.p50[place]
    p50, p90 = ((_of(kept, float(times[place])) if open_ else None) for times in (found.p50, found.p90))
    late = float(found.late[place]) if open_ else None
    planned = _of(kept, day.plan.starts[place])
    return Line(
        one.id, one.owner, one.critical, planned, started, ended, p50, p90, late, one.id in kept.warned
    )


def _at(epoch: float | None) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


def _of(kept: days.WeddingDay, minutes: float) -> datetime:
    return datetime.fromtimestamp(kept.starts_at.timestamp() + 60 * minutes, UTC)
