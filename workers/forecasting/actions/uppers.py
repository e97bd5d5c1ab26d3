"""How high regions' loads may climb before more capacity serves: an outlook each, kept by this process."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Connection

from workers.forecasting.rules import outlook
from workers.forecasting.rules.events import AFTER, BEFORE, DAY, Array, of_wedding
from workers.forecasting.rules.outlook import Outlook
from workers.foundation import logs, settings
from workers.foundation.moments import Moment
from workers.metrics import store as metrics
from workers.weddings import store as weddings

log = logs.get("forecasting")

#: Learning a region takes some tenths of a second: a run learns so many, the next one goes on.
LEARNED_AT_ONCE = 2
#: After so many minutes without a measurement nothing is known of now.
FRESH = 5


@dataclass
class _Learned:
    """A region's outlook, the minute after the last one it saw, what was seen in that, and the calendar it knows."""

    outlook: Outlook
    next: int
    last: float
    version: int


#: What this process has learned; another one learns by itself.
_learned: dict[str, _Learned] = {}


def uppers(
    db: Connection, regions: Collection[str], *, now: Moment, boot: timedelta, unit: float
) -> tuple[dict[str, float], set[str]]:
    """Return what regions' connections stay below until capacity ordered at `now` can be used, and who is yet to be learned.

    Regions that were measured for less than a day, or not within some minutes, are in neither.
    """
    minute, version, left, waiting = int(now.timestamp()) // 60, weddings.version_of(db), LEARNED_AT_ONCE, set[str]()
    outdated = [region for region in regions if not _current(region, minute) or _learned[region].version != version]
    # An outlook that lacks the newest wedding serves until there is a better one.
    for region in sorted(outdated, key=lambda region: (_current(region, minute), region)):
        if not left:
            waiting.add(region)
            continue
        with _alone(region, waiting):
            found = _learn(db, region, now=now, boot=boot, unit=unit, version=version)
            left -= bool(found)
            if found:
                _learned[region] = found
            elif not _current(region, minute):
                _learned.pop(region, None)
    here = {region: _learned[region] for region in regions if _current(region, minute)}
    since = min((known.next for known in here.values()), default=minute)
    seen = metrics.by_minute(db, _moment(since), _moment(minute)) if here else {}
    found_now = {}
    for region, known in here.items():
        with _alone(region, waiting):
            _see(known, seen.get(region, {}))
            if minute - known.next <= FRESH:
                found_now[region] = known.outlook.now()
    return found_now, waiting - found_now.keys()


def _current(region: str, minute: int) -> bool:
    """Tell whether what was learned of a region still says something about now."""
    known = _learned.get(region)
    return bool(known and not known.outlook.stale and minute - DAY <= known.next <= minute)


@contextmanager
def _alone(region: str, waiting: set[str]) -> Iterator[None]:
    """Around what is done for one region: what fails there keeps no other one from being decided."""
    try:
        yield
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        log.error("region not learned", region=region, reason="unfit", detail=str(error))
        _learned.pop(region, None)
        waiting.add(region)


def _see(known: _Learned, seen: Mapping[int, int]) -> None:
    new = {minute: count for minute, count in seen.items() if minute >= known.next}
    for value in filled({known.next - 1: known.last} | new)[1:].tolist():
        if not known.outlook.stale:
            known.outlook.see(value)
            known.next, known.last = known.next + 1, value


def _learn(db: Connection, region: str, *, now: Moment, boot: timedelta, unit: float, version: int) -> _Learned | None:
    policy = settings.read(outlook.Policy, "OUTLOOK_")
    minute = int(now.timestamp()) // 60
    seen = metrics.by_minute(db, now - timedelta(days=policy.days), _moment(minute), region=region).get(region, {})
    load = filled(seen)
    if len(load) < DAY or max(seen) < minute - FRESH:
        return None
    start = min(seen)
    near = weddings.between(db, _moment(start - AFTER), now + timedelta(minutes=2 * DAY + BEFORE), region=region)
    events = [of_wedding(wedding) for wedding in near]
    lasts = max(1, round(boot.total_seconds() / 60))
    found = Outlook(load, start, events, boot=lasts, unit=unit, policy=policy)
    log.info("region learned", region=region, minutes=len(load), events=len(events), reason="day_or_calendar")
    return _Learned(found, start + len(load), float(load[-1]), version)


def held(seen: Mapping[int, float]) -> Array:
    """Return a value for each minute from the first to the last, what is missing as it was last: nobody knew the next one."""
    minutes = np.array(sorted(seen))
    values = np.array([float(seen[minute]) for minute in minutes.tolist()])
    every = np.arange(minutes[0], minutes[-1] + 1)
    found: Array = values[np.searchsorted(minutes, every, side="right") - 1]
    return found


def filled(seen: Mapping[int, float]) -> Array:
    """Return a value for each minute from the first to the last, what is missing drawn straight between its neighbours."""
    minutes = sorted(seen)
    if not minutes:
        return np.zeros(0)
    return np.interp(np.arange(minutes[0], minutes[-1] + 1), minutes, [float(seen[minute]) for minute in minutes])


def _moment(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
