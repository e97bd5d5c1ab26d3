"""The mode of each wedding: it follows the calendar, or who begins it by hand; its backups are verified."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from workers.commands.rules import contract
from workers.connections.store import backups
from workers.foundation import database, logs, settings
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.moments import Moment
from workers.journal import store as journal
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.wedding_day.formats import BeginMode, ModeChanged
from workers.wedding_day.rules import backups as rules
from workers.wedding_day.store import modes as store
from workers.wedding_day.store.modes import Kept
from workers.weddings.formats import timeline as formats
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Status, Wedding
from workers.weddings.rules.modes import BY_HAND, Hold, Mode, Policy, by_calendar, mode
from workers.weddings.store import holds, weddings

log = logs.get("wedding_day")

CALENDAR = "calendar"
#: So many weddings are verified by one transaction.
BATCH = 500
#: So many weddings a message names.
NAMED = 5


class ModeRefused(ExpectedError):
    """the mode of {wedding_id} is refused: {problem}"""

    http_status = 422


@dataclass(frozen=True)
class ModeView:
    """A wedding's mode, what the calendar alone says, who holds it in one, and what was seen of backups."""

    wedding: Wedding
    mode: Mode
    by_calendar: Mode
    hold: Hold | None
    kept: Kept | None


def follow(db: Connection, found: Sequence[Wedding], *, now: Moment) -> dict[str, Hold]:
    """Bring weddings into the modes that calendar and people want; return what people hold."""
    policy, phases = settings.read(Policy), settings.read(calendar.Policy)
    held = holds.of(db, [one.id for one in found], at=now)
    for one in found:
        if one.status is Status.CANCELLED:
            held.pop(one.id, None)
    wanted = {one.id: _wanted(by_calendar(one, policy, phases, now=now), held.get(one.id)) for one in found}
    changed = store.follow(db, wanted, at=now)
    journal.append(db, [ModeChanged(id, *wanted[id]) for id in changed], at=now)
    for id in changed:
        log.info("mode changed", wedding_id=id, mode=wanted[id][0], reason=wanted[id][1])
    return held


def settle_held(*, now: Moment) -> None:
    """Bring weddings that people hold, or held, in a mode into the one they have now.

    A hold may have ended, or begun while its wedding was looked at; a wedding may be gone from the calendar.
    """
    with database.transaction() as db:
        held = {one.wedding_id for one in store.in_mode(db, BY_HAND) if one.by != CALENDAR}
        held |= set(holds.active(db, at=now))
        found = weddings.by_id(db, held)
        store.forget(db, held - {one.id for one in found})
        follow(db, found, now=now)


def _wanted(calendar_mode: Mode, hold: Hold | None) -> tuple[Mode, str]:
    wanted = mode(calendar_mode, hold)
    return wanted, CALENDAR if hold is None or wanted is calendar_mode else hold.by


def read(fields: Mapping[str, Any]) -> BeginMode:
    """Return what somebody asks for by its fields. Raises ModeRefused naming those that are wrong."""
    if problems := contract.problems(BeginMode, dict(fields)):
        raise ModeRefused(wedding_id=fields.get("wedding_id"), problem="; ".join(problems))
    return BeginMode.model_validate(fields)


def begin(db: Connection, said: BeginMode, *, by: str, now: Moment) -> ModeView:
    """Hold a wedding in a mode for a while, whatever the calendar says; return what comes of it.

    Its `contacts` are people with an address; by all of their channels they are the wedding's contacts from
    now on. Raises WeddingUnknown, ModeRefused, AddressMissing.
    """
    wedding, lasts = weddings.require(db, said.wedding_id), timedelta(hours=said.hours)
    problem = f"nobody is called {CALENDAR}" if by == CALENDAR else ""
    if problem := problem or _problem(wedding, lasts, settings.read(Policy)):
        raise ModeRefused(wedding_id=wedding.id, problem=problem)
    notify.make_contacts(db, wedding.id, said.contacts)
    hold = Hold(wedding.id, Mode(said.mode), now, Moment(now + lasts), storable(by), storable(said.reason))
    holds.begin(db, hold)
    follow(db, [wedding], now=now)
    return _view(db, wedding, now)


def _problem(wedding: Wedding, lasts: timedelta, policy: Policy) -> str:
    if wedding.status is Status.CANCELLED:
        return "the wedding is cancelled"
    if not timedelta(minutes=1) <= lasts <= policy.longest:
        hours = policy.longest.total_seconds() / 3600
        return f"it is held from a minute to {hours:g} h (MODE_LONGEST); begin it again when that is over"
    return ""


def end(db: Connection, wedding_id: str, *, now: Moment) -> ModeView:
    """End what somebody began by hand: the calendar's mode holds again.

    Raises WeddingUnknown, ModeRefused.
    """
    wedding = weddings.require(db, wedding_id)
    if not holds.end(db, wedding_id, at=now):
        problem = "nobody began one by hand; what the calendar began ends with the wedding"
        raise ModeRefused(wedding_id=wedding_id, problem=problem)
    follow(db, [wedding], now=now)
    return _view(db, wedding, now)


def show(wedding_id: str, *, now: Moment) -> ModeView:
    """Return a wedding's mode. Raises WeddingUnknown."""
    with database.transaction() as db:
        return _view(db, weddings.require(db, wedding_id), now)


def _view(db: Connection, wedding: Wedding, now: Moment) -> ModeView:
    policy, phases = settings.read(Policy), settings.read(calendar.Policy)
    hold = holds.of(db, [wedding.id], at=now).get(wedding.id)
    own = by_calendar(wedding, policy, phases, now=now)
    hold = None if wedding.status is Status.CANCELLED else hold
    return ModeView(wedding, mode(own, hold), own, hold, store.of(db, [wedding.id]).get(wedding.id))


def verify(*, now: Moment) -> int:
    """See who of live weddings has a backup connection that answers.

    Who owns a critical moment of one that is armed or live may open one until it is over. Operations hear
    each hour of those whose people have had none for some minutes. Return how many weddings were looked at.
    """
    with database.transaction() as db:
        ready, lacking = store.in_mode(db, BY_HAND), list[str]()
    for first in range(0, len(ready), BATCH):
        lacking += _verify({one.wedding_id: one for one in ready[first : first + BATCH]}, now)
    if lacking:
        with database.transaction() as db:
            notify.publish(db, _message(lacking, now))
    return len(ready)


def _verify(batch: Mapping[str, Kept], now: Moment) -> list[str]:
    """Let who is critical have backups, see who has; return the weddings that have lacked some for long."""
    with database.transaction() as db:
        found = weddings.by_id(db, batch)
        store.forget(db, batch.keys() - {one.id for one in found})
    critical = {one.id: rules.critical_suppliers(one, formats.known(one)) for one in found}
    backups.allow({id for own in critical.values() for id in own})
    seen = _seen([one for one in found if batch[one.id].mode is Mode.LIVE], critical)
    with database.transaction() as db:
        store.note_backups(db, seen, at=now)
    return [id for id, own in seen.items() if _lacks(batch[id], own, now)]


def _seen(
    live: Sequence[Wedding], critical: Mapping[str, Sequence[str]]
) -> dict[str, Mapping[str, tuple[int, int]]]:
    tenants = {one.id: [one.id, *calendar.of_type(one, "planner"), *critical[one.id]] for one in live}
    return {id: rules.seen(users) for id, users in backups.seen(tenants).items()}


def _lacks(kept: Kept, seen: Mapping[str, tuple[int, int]], now: Moment) -> bool:
    """Tell whether people of a wedding lack a backup, and have for long."""
    since = kept.missing_since
    return rules.is_missing(seen) and since is not None and since <= now - rules.GRACE


def _message(lacking: Sequence[str], now: Moment) -> Notification:
    named = ", ".join(lacking[:NAMED]) + (f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else "")
    title = f"live weddings without backup connections: {len(lacking)}"
    body = (
        f"Couple, planner or who owns a critical moment has one node alone at {named}. "
        f"`wedops weddings mode {lacking[0]}` says who; a backup needs a second node (`wedops nodes`)."
    )
    return Notification(f"backups/{now:%Y%m%dT%H}", title, body, "high")
