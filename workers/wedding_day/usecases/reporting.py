"""Taking what is said of a wedding's day: by its suppliers, its planner, its couple, or operations."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from workers.connections.formats.permits import Permit
from workers.connections.rules.admission import UserType
from workers.foundation import logs, settings
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.moments import Moment
from workers.journal import store as journal
from workers.wedding_day.formats import MomentReported, ReportMoment, What
from workers.wedding_day.rules.deviations import Policy
from workers.wedding_day.store import days
from workers.wedding_day.store.days import WeddingDay
from workers.wedding_day.usecases import watching
from workers.weddings.formats import timeline as formats
from workers.weddings.rules import timeline as rules
from workers.weddings.rules.calendar import Status, Wedding, supplier_type
from workers.weddings.rules.timeline import EARLIEST, LATEST, TimelineMoment
from workers.weddings.store import weddings

log = logs.get("wedding_day")

#: In which column of a day it is kept.
_COLUMNS = {What.STARTED: "started", What.ENDED: "ended", What.ARRIVED: "arrived"}


class ReportRefused(ExpectedError):
    """the report of {what} at {wedding_id} is refused: {problem}"""

    http_status = 422


class ReportForbidden(ExpectedError):
    """{by!r} may not report {what} at {wedding_id}: {problem}"""

    http_status = 403


@dataclass(frozen=True)
class Taken:
    """What was said, when it was, and whether it is new."""

    moment: str
    what: What
    at: Moment
    is_new: bool


def principal(permit: Permit) -> str:
    """Return as whom a permit's holder reports: their supplier, else their role. Raises ReportForbidden."""
    by = permit.supplier_id or permit.user_type
    if by == UserType.GUEST:
        problem = "guests report nothing"
        raise ReportForbidden(by=by, what="a moment", wedding_id=permit.wedding_id, problem=problem)
    return by


def key_of(said: ReportMoment, given: str | None) -> str:
    """Return the key of a report: its sender's, else one of its own."""
    return f"{said.wedding_id}/{said.by}/{given or uuid4().hex}"


def report(db: Connection, said: ReportMoment, key: str, *, now: Moment) -> Taken:
    """Take a report, once a key. What is said later of the same is what holds.

    Raises WeddingUnknown, ReportRefused, ReportForbidden.
    """
    wedding = weddings.require(db, said.wedding_id)
    at = Moment(said.at) if said.at else now
    one = _check(wedding, said, at, now)
    row = {"key": key, "wedding_id": wedding.id, "moment": said.moment, "what": said.what, "at": at}
    if not days.report(db, row | {"by": storable(said.by), "received_at": now}):
        return Taken(said.moment, said.what, at, is_new=False)
    day = watching.ensure(db, wedding)
    if one is not None:
        _check_order(day, said, at, wedding.zone)
    days.note(db, wedding.id, _COLUMNS[said.what], said.moment or said.by, at)
    journal.append(db, [MomentReported(wedding.id, said.moment, said.what, storable(said.by))], at=now)
    log.info("moment reported", wedding_id=wedding.id, moment=said.moment, what=said.what, reason="reported")
    return Taken(said.moment, said.what, at, is_new=True)


def _check(wedding: Wedding, said: ReportMoment, at: Moment, now: Moment) -> TimelineMoment | None:
    """Return the moment that it is about; None for an arrival."""
    about = f"{said.moment or said.by} {said.what}"
    if wedding.status is Status.CANCELLED:
        raise ReportRefused(what=about, wedding_id=wedding.id, problem="the wedding is cancelled")
    if wrong := _wrong_time(wedding, at, now):
        raise ReportRefused(what=about, wedding_id=wedding.id, problem=wrong)
    if said.what is What.ARRIVED:
        if said.moment:
            problem = "who has arrived names no moment; leave it out"
            raise ReportRefused(what=about, wedding_id=wedding.id, problem=problem)
        if said.by not in wedding.supplier_ids:
            raise ReportForbidden(
                by=said.by, what=about, wedding_id=wedding.id, problem="it does not work there"
            )
        return None
    moments = {one.id: one for one in formats.known(wedding)}
    if said.moment not in moments:
        there = ", ".join(moments) or "none: `wedops weddings timeline` gives it some"
        problem = f"moment={said.moment!r} is none of its timeline; there are {there}"
        raise ReportRefused(what=about, wedding_id=wedding.id, problem=problem)
    one = moments[said.moment]
    if not may_report(wedding, one, said.by):
        problem = f"it is {one.owner or 'nobody'}'s; planner, couple and operations may as well"
        raise ReportForbidden(by=said.by, what=about, wedding_id=wedding.id, problem=problem)
    return one


def may_report(wedding: Wedding, one: TimelineMoment, by: str) -> bool:
    """Tell whether somebody may say how a moment goes: its owner, one of that type, or who runs the day."""
    if by in rules.ROLES or supplier_type(wedding, by) == UserType.PLANNER:
        return True
    return by in wedding.supplier_ids and one.owner in ("", by, supplier_type(wedding, by))


def _wrong_time(wedding: Wedding, at: datetime, now: Moment) -> str | None:
    policy = settings.read(Policy)
    if at > now + policy.ahead:
        return f"at={at.isoformat()} is in the future; send when it happened, or nothing for now"
    if not wedding.starts_at - EARLIEST <= at <= wedding.ends_at + LATEST:
        zone = ZoneInfo(wedding.zone)
        first, last = (
            (one).astimezone(zone) for one in (wedding.starts_at - EARLIEST, wedding.ends_at + LATEST)
        )
        return f"at={at.isoformat()} is not of that day: from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
    return None


def _check_order(day: WeddingDay, said: ReportMoment, at: Moment, zone: str) -> None:
    """Refuse an end before the start that is known, or the other way round."""
    started = at.timestamp() if said.what is What.STARTED else day.started.get(said.moment)
    ended = at.timestamp() if said.what is What.ENDED else day.ended.get(said.moment)
    if started is None or ended is None or ended >= started - timedelta(minutes=1).total_seconds():
        return
    began, over = (datetime.fromtimestamp(one, ZoneInfo(zone)) for one in (started, ended))
    problem = f"it would end at {over:%H:%M}, before it started at {began:%H:%M}; correct the other one first"
    raise ReportRefused(what=f"{said.moment} {said.what}", wedding_id=day.wedding_id, problem=problem)
