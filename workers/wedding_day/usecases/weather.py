"""What the weather may do to weddings in the open air; planners hear of it while a plan B can be made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from workers.delivery.formats import Message
from workers.delivery.usecases import sending
from workers.foundation import clock, database, logs, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment, Moment
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.seasons.rules.venues import PROFILES
from workers.wedding_day import adapters
from workers.wedding_day.rules import weather as rules
from workers.wedding_day.rules.weather import Hour, Policy
from workers.wedding_day.store import outlooks as store
from workers.wedding_day.store.outlooks import Known
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Status, Wedding
from workers.weddings.store import weddings

log = logs.get("wedding_day")

#: A run asks for so many seconds, and a page takes ten at most: it warns well before its time limit.
ENOUGH = 8.0


class OutlookUnknown(ExpectedError):
    """no weather is known of {wedding_id}: {why}"""

    http_status = 404


@dataclass(frozen=True)
class View:
    """A wedding in the open air, and what is known of its weather."""

    wedding: Wedding
    known: Known | None
    is_risky: bool
    #: Why nothing is known, where that is so.
    why: str


def forecast(*, now: Moment) -> int:
    """Forecast the weather of weddings in the open air that are near, and warn; return for how many.

    What the weather service does not say now is asked for again at the next run; what was known holds.
    """
    policy = settings.read(Policy)
    with database.transaction() as db:
        near = [one for one in weddings.between(db, now, now + rules.AHEAD) if rules.is_asked(one)]
        known = store.of(db, [one.id for one in near])
    due = [one for one in near if policy.url and _is_due(one, known.get(one.id), policy, now)]
    # Those of which nothing is known, or for longest, first: there may not be time for all.
    due.sort(key=lambda one: known[one.id].at.timestamp() if one.id in known else 0.0)
    _ask(due, policy, now)
    with database.transaction() as db:
        _warn(db, near, policy, now)
    return len(due)


def _is_due(wedding: Wedding, known: Known | None, policy: Policy, now: Moment) -> bool:
    return known is None or not _is_of(wedding, known) or now - known.at >= policy.every


def _is_of(wedding: Wedding, known: Known) -> bool:
    """Tell whether what is known is of the time and place that a wedding has now."""
    return (known.starts_at, known.geo) == (wedding.starts_at, wedding.geo)


def _ask(due: Sequence[Wedding], policy: Policy, now: Moment) -> None:
    """Ask for the places of weddings, those that are the same once, for some seconds."""
    places, begun = list(dict.fromkeys(one.geo for one in due)), clock.stopwatch()
    for first in range(0, len(places), adapters.AT_ONCE):
        if clock.stopwatch() - begun > ENOUGH:
            log.warning("not all places were asked for", reason="slow", places=len(places) - first)
            return
        page = places[first : first + adapters.AT_ONCE]
        try:
            hours = adapters.forecast(policy.url, page)
        except adapters.WeatherUnavailable as error:
            log.warning("weather unavailable", reason="weather", detail=str(error), places=len(page))
            continue
        _write([one for one in due if one.geo in hours], hours, policy, now)


def _write(
    found: Sequence[Wedding], hours: Mapping[str, Sequence[Hour]], policy: Policy, now: Moment
) -> None:
    outlooks = [(one, rules.outlook(one, hours[one.geo], policy)) for one in found]
    with database.transaction() as db:
        store.write(db, [Known(one.id, one.starts_at, one.geo, now, each) for one, each in outlooks if each])


def _warn(db: Connection, near: Sequence[Wedding], policy: Policy, now: Moment) -> None:
    """Warn planners at each mark once, also of what was not forecast until after it."""
    known = store.of(db, [one.id for one in near])
    risky = [
        (one, known[one.id], mark)
        for one in near
        if one.id in known and _holds(one, known[one.id], policy) and (mark := rules.mark(one, now=now))
    ]
    reached = notify.reached(db, [(one.id, calendar.planners(one)) for one, _, _ in risky])
    messages = [
        (_message(*each), who, each[0].id)
        for each, people in zip(risky, reached, strict=True)
        for who in people
    ]
    if messages and (told := notify.publish_all(db, messages)):
        log.warning("weather ahead", reason="weather", weddings=len(risky), told=told)


def _holds(wedding: Wedding, known: Known, policy: Policy) -> bool:
    """Tell whether bad weather is forecast, for the time and place that the wedding has now."""
    return known.outlook.risk >= policy.warn_at and _is_of(wedding, known)


def _message(wedding: Wedding, known: Known, mark: str) -> Notification:
    local = wedding.starts_at.astimezone(ZoneInfo(wedding.zone))
    title = f"{wedding.id} ({local:%a %d %b %H:%M}): the weather may upset it"
    body = (
        f"{', '.join(known.outlook.because)}. A message that plan B is in force is prepared: "
        f"`wedops weddings weather {wedding.id}` shows it, with --send it goes to everybody."
    )
    key = f"weather/{wedding.id}/{mark}/{wedding.starts_local:%Y%m%dT%H%M}"
    return Notification(key, title, body, "high" if mark == "24h" else "medium", wedding.id)


def checked(wedding: Wedding, known: Known | None) -> tuple[bool, str, Moment] | None:
    """Return whether bad weather is forecast for a wedding, why, and when that was; None: not known."""
    if known is None or not _is_of(wedding, known):
        return None
    return _holds(wedding, known, settings.read(Policy)), ", ".join(known.outlook.because), known.at


def ahead(*, now: Moment) -> list[View]:
    """Return the weddings in the open air that are near, and what is known of their weather, by start."""
    policy = settings.read(Policy)
    with database.transaction() as db:
        near = [one for one in weddings.between(db, now, now + rules.AHEAD) if rules.is_asked(one)]
        known = store.of(db, [one.id for one in near])
    return [_view(one, known.get(one.id), policy) for one in near]


def _view(wedding: Wedding, known: Known | None, policy: Policy) -> View:
    risky = known is not None and _holds(wedding, known, policy)
    return View(wedding, known, risky, "" if known else _why(wedding, policy))


def show(wedding_id: str) -> tuple[View, tuple[str, str]]:
    """Return a wedding's weather, and the message that plan B is in force, as it is prepared.

    Raises WeddingUnknown, OutlookUnknown.
    """
    policy = settings.read(Policy)
    with database.transaction() as db:
        wedding = weddings.require(db, wedding_id)
        known = store.of(db, [wedding_id]).get(wedding_id)
    # What was forecast for another time or place of it says nothing of this one.
    if known is None or not _is_of(wedding, known) or not rules.is_asked(wedding):
        raise OutlookUnknown(wedding_id=wedding_id, why=_why(wedding, policy))
    return _view(wedding, known, policy), rules.plan_b(wedding, known.outlook)


def _why(wedding: Wedding, policy: Policy) -> str:
    if wedding.status is Status.CANCELLED:
        return "it is cancelled"
    if not rules.is_asked(wedding):
        return (
            "the calendar says no place; add `geo`"
            if PROFILES[wedding.venue_type].is_open_air
            else f"a wedding at a {wedding.venue_type.replace('_', ' ')} is not in the open air"
        )
    if not policy.url:
        return "nothing forecasts it; set WEATHER_URL, to https://api.open-meteo.com for Open-Meteo"
    return f"it is forecast from {rules.AHEAD.total_seconds() / 3600:g} h before its start on"


def send_plan_b(wedding_id: str, *, by: str, now: Moment, machine: MachineMoment) -> Message:
    """Send a wedding's people the prepared message that plan B is in force, once for each start.

    Raises WeddingUnknown, OutlookUnknown, and what sending raises.
    """
    view, (headline, text) = show(wedding_id)
    key = f"plan-b-{wedding_id}-{view.wedding.starts_local:%Y%m%dT%H%M}"
    fields = {"wedding_id": wedding_id, "headline": headline, "body": text, "request_key": key}
    return sending.send(fields, sender=by, now=now, machine=machine)
