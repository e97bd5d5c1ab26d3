"""Which weddings are ready; who has to see to what is not, a week, a day and four hours before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from workers.alerts.rules.kinds import Kind
from workers.alerts.rules.lifecycle import AlertView, State
from workers.alerts.store import alerts
from workers.caching.store import results
from workers.delivery.store import summaries
from workers.delivery.usecases import rehearsing
from workers.foundation import database, logs, settings
from workers.foundation.moments import Moment
from workers.notify import usecases as notify
from workers.notify.rules import CONTACTS, Notification
from workers.wedding_day.rules import readiness as rules
from workers.wedding_day.rules.looks import Policy as Looks
from workers.wedding_day.rules.readiness import Check, Exercise, Facts, Open
from workers.wedding_day.store import modes, outlooks
from workers.wedding_day.store.modes import Kept
from workers.wedding_day.usecases import weather
from workers.weddings.formats import timeline as formats
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Wedding
from workers.weddings.rules.modes import Mode
from workers.weddings.store import weddings

log = logs.get("wedding_day")

#: Who of a wedding must be reached, one of them at least.
PEOPLE = ("planner", "couple", CONTACTS)
#: A mark that passed while nothing ran still counts for so long.
WITHIN = timedelta(hours=2)
#: Alerts that have an item of their own.
_OWN = (Kind.CAPACITY_AHEAD, Kind.FORECAST_UNFIT)


@dataclass(frozen=True)
class Ready:
    """A wedding and its list."""

    wedding: Wedding
    checks: Sequence[Check]

    @property
    def is_ready(self) -> bool:
        """Tell whether nothing is red."""
        return rules.is_ready(self.checks)


def of(wedding_id: str, *, now: Moment) -> Ready:
    """Return a wedding's list. Raises WeddingUnknown."""
    with database.transaction() as db:
        [found] = lists(db, [weddings.require(db, wedding_id)], now=now)
    return found


def upcoming(within: timedelta, *, now: Moment) -> list[Ready]:
    """Return the lists of the weddings that run or begin within a time, by start."""
    with database.transaction() as db:
        return lists(db, weddings.between(db, now, now + within), now=now)


def lists(db: Connection, found: Sequence[Wedding], *, now: Moment) -> list[Ready]:
    """Return the lists of weddings, by a handful of statements, however many they are."""
    phases, warm_before = settings.read(calendar.Policy), settings.read(Looks).warm_up_before
    known = _facts(db, found)
    return [Ready(one, rules.checks(one, known[one.id], phases, warm_before, now=now)) for one in found]


def _facts(db: Connection, found: Sequence[Wedding]) -> dict[str, Facts]:
    ids = [one.id for one in found]
    reached = notify.verified(db, {(who, id) for id in ids for who in PEOPLE})
    exercises, warmed = summaries.exercises(db, ids), results.newest(db, results.WARM_UP, ids)
    kept, skies = modes.of(db, ids), outlooks.of(db, ids)
    open_, rehearses = alerts.listed(db, limit=None, ended=False), rehearsing.is_on(db)
    return {
        one.id: Facts(
            moments=formats.known(one),
            reached={who: reached[who, one.id] for who in PEOPLE if (who, one.id) in reached},
            exercise=Exercise(*exercises[one.id]) if one.id in exercises else None,
            rehearses=rehearses(one.region),
            warmed_at=warmed.get(one.id),
            backups=_backups(kept.get(one.id)),
            weather=weather.checked(one, skies.get(one.id)),
            alerts=[_open(alert) for alert in open_ if _concerns(alert, one)],
            too_full=_of_kind(open_, Kind.CAPACITY_AHEAD, one.region),
            unfit=_of_kind(open_, Kind.FORECAST_UNFIT, one.region),
        )
        for one in found
    }


def _backups(kept: Kept | None) -> tuple[Mapping[str, tuple[int, int]], Moment] | None:
    if kept is None or kept.mode is not Mode.LIVE or kept.backups is None or kept.checked_at is None:
        return None
    return kept.backups, Moment(kept.checked_at)


def _concerns(alert: AlertView, wedding: Wedding) -> bool:
    """Tell whether an alert is a wedding's, or its region's, or of no place; and has no item of its own."""
    if alert.wedding_id:
        return alert.wedding_id == wedding.id
    return alert.region in ("", wedding.region) and alert.kind not in _OWN


def _of_kind(open_: Iterable[AlertView], kind: Kind, region: str) -> Open | None:
    return next((_open(one) for one in open_ if one.kind is kind and one.region in ("", region)), None)


def _open(alert: AlertView) -> Open:
    return Open(alert.id, alert.kind, alert.since, alert.state is State.ACKNOWLEDGED)


def check(db: Connection, *, now: Moment) -> int:
    """Tell who has to see to what is red, at each mark once; return of how many weddings."""
    count = 0
    for mark, before in rules.MARKS.items():
        near = weddings.between(db, now + before - WITHIN, now + before)
        due = [one for one in near if now + before - WITHIN < one.starts_at <= now + before]
        count += sum(_tell(db, found, mark) for found in lists(db, due, now=now))
    if count:
        log.warning("weddings are not ready", reason="readiness", weddings=count)
    return count


def _tell(db: Connection, found: Ready, mark: str) -> bool:
    """Tell the owners of what is red; tell whether anybody had not been told."""
    wedding, red = found.wedding, rules.red(found.checks)
    named = [calendar.planners(wedding) if owner == rules.PLANNER else [owner] for owner in red]
    reached = notify.reached(db, [(wedding.id, people) for people in named])
    messages = [
        (_message(wedding, mark, owner, own), who, wedding.id)
        for (owner, own), people in zip(red.items(), reached, strict=True)
        for who in people
    ]
    return bool(messages and notify.publish_all(db, messages))


def _message(wedding: Wedding, mark: str, owner: str, own: Sequence[Check]) -> Notification:
    local = wedding.starts_at.astimezone(ZoneInfo(wedding.zone))
    items = ", ".join(dict.fromkeys(one.item for one in own))
    title = f"{wedding.id} ({local:%a %d %b %H:%M}) is not ready: {items}"
    lines = "; ".join(f"{one.item}: {one.evidence}" for one in own)
    body = f"{lines}. `wedops weddings ready {wedding.id}` shows the list."
    key = f"ready/{wedding.id}/{mark}/{wedding.starts_local:%Y%m%dT%H%M}/{owner}"
    return Notification(key, title, body, "high" if mark == "4h" else "medium", wedding.id)
