"""How a wedding's day goes, for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workers.foundation import database, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.wedding_day.rules import course, deviations
from workers.wedding_day.rules.deviations import Policy
from workers.wedding_day.store import days, fits
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
        raise DayUnknown(wedding_id=wedding_id, before=f"{policy.watch_before.total_seconds() / 3600:g} h")
    day = kept.day(now=now)
    [found] = course.forecast([day], learned, late_by=policy.late_by.total_seconds() / 60)
    lines = [_line(kept, day, found, one) for one in rules.in_order(formats.known(wedding))]
    return DayView(
        wedding, [one for one in lines if one], deviations.bottleneck(day, found), sorted(kept.arrived)
    )


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
