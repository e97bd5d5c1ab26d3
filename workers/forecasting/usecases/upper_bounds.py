"""How high regions' loads may climb before more capacity serves.

Fitted once, and the same in every process.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
from sqlalchemy import Connection

from workers.forecasting.rules import peak_forecast
from workers.forecasting.rules.events import AFTER, BEFORE, DAY, Array, of_wedding
from workers.forecasting.rules.fitting import fit
from workers.forecasting.rules.peak_forecast import Fitted, PeakForecast
from workers.forecasting.store import fits
from workers.forecasting.store.fits import Fit
from workers.foundation import logs, settings
from workers.foundation.moments import Moment
from workers.snapshots import store as snapshots
from workers.weddings.store import regions as calendar_regions
from workers.weddings.store import weddings

log = logs.get("forecasting")

#: Fitting a region takes some tenths of a second: a run fits so many, the next one goes on.
FITTED_AT_ONCE = 2
#: A snapshot is written within so long of its moment: a minute is taken once all of it is there, by every
#: process the same.
LANDED = timedelta(seconds=15)
#: After so many minutes without a measurement nothing is known of now.
FRESH = 5


@dataclass(frozen=True)
class UpperBound:
    """What a region's load stays below until capacity that is ordered now serves, and by which fit."""

    load: float
    version: str


@dataclass
class _Advanced:
    """A fit of a version, gone on to the minute before `next`, in which `last` was seen."""

    version: str
    forecast: PeakForecast
    next: int
    last: float


#: How far this process has gone on with each region's fit. It follows from the fit and what was measured, so
#: that it only saves going there again: a process that has none says the same.
_advanced: dict[str, _Advanced] = {}


def upper_bounds(
    db: Connection, regions: Collection[str], *, now: Moment, boot: int, unit: float
) -> tuple[dict[str, UpperBound], set[str]]:
    """Return what connections stay below until capacity ordered now serves, and the unfitted regions.

    `boot` is in minutes, `unit` a load that is next to nothing. Regions that were measured for less than a
    day, or not within some minutes, are in neither.
    """
    minute = _ended(now)
    known, waiting = _Fitting(db, now, minute, boot, unit).reconcile(regions, fits.known(db))
    current = {region: one for region, one in known.items() if _current(one, minute)}
    here = _here(db, current, minute)
    # One that was replaced since, or is of another version's form: nothing is taken from it meanwhile.
    waiting |= current.keys() - here.keys()
    since = min((one.next for one in here.values()), default=minute)
    seen = snapshots.by_minute(db, _moment(since), _moment(minute)) if here else {}
    found: dict[str, UpperBound] = {}
    for region, one in here.items():
        with _alone(db, region, waiting):
            _see(one, seen.get(region, {}))
            if minute - one.next <= FRESH:
                found[region] = UpperBound(one.forecast.now(), one.version)
    return found, waiting - found.keys()


class _Fitting:
    """Fits regions whose fit is missing, a day old, of other weddings or of other settings; some a run."""

    def __init__(self, db: Connection, now: Moment, minute: int, boot: int, unit: float) -> None:
        self.db, self.now, self.minute, self.boot, self.unit = db, now, minute, boot, unit
        self.policy = settings.read(peak_forecast.Policy)
        self.settings = f"{self.boot} {self.unit} {self.policy}"
        self.calendar_version = weddings.version_of(db)
        #: Of the weddings of each region; asked for once something changed anywhere.
        self._revisions: dict[str, int] | None = None

    def reconcile(
        self, regions: Collection[str], known: Mapping[str, Fit]
    ) -> tuple[dict[str, Fit], set[str]]:
        """Return the fits of regions, some of them new, and the regions whose turn is yet to come."""
        found = {region: known[region] for region in regions if region in known}
        self._confirm(found)
        outdated = [region for region in regions if not self._good(found.get(region))]
        left, waiting = FITTED_AT_ONCE, set[str]()
        # One that lacks the newest wedding serves until there is a better one.
        for region in sorted(outdated, key=lambda region: (_current(found.get(region), self.minute), region)):
            if not left:
                waiting.add(region)
                continue
            with _alone(self.db, region, waiting):
                # Before the weddings are read: one that changes meanwhile makes the fit an old one.
                revision = self._revision(region)
                if fitted := self._fit(region):
                    found[region] = Fit(
                        region,
                        uuid4().hex,
                        fitted.minute,
                        revision=revision,
                        calendar_version=self.calendar_version,
                        settings=self.settings,
                    )
                    fits.keep(self.db, found[region], fitted, at=self.now)
                    left -= 1
        return found, waiting

    def _confirm(self, found: dict[str, Fit]) -> None:
        """Let fits be good for the calendar as it is where no wedding of their region changed."""
        same = {
            region: replace(one, calendar_version=self.calendar_version)
            for region, one in found.items()
            if one.calendar_version != self.calendar_version and one.revision == self._revision(region)
        }
        fits.confirm(self.db, same, self.calendar_version)
        found |= same

    def _revision(self, region: str) -> int:
        if self._revisions is None:
            self._revisions = calendar_regions.revisions(self.db)
        return self._revisions.get(region, 0)

    def _good(self, one: Fit | None) -> bool:
        made_from = self.calendar_version, self.settings
        return bool(one and _current(one, self.minute) and (one.calendar_version, one.settings) == made_from)

    def _fit(self, region: str) -> Fitted | None:
        since = self.now - timedelta(days=self.policy.days)
        seen = snapshots.by_minute(self.db, since, _moment(self.minute), region=region).get(region, {})
        load = filled(seen)
        if len(load) < DAY or max(seen) < self.minute - FRESH:
            return None
        start, until = min(seen), self.now + timedelta(minutes=2 * DAY + BEFORE)
        events = [
            of_wedding(one) for one in weddings.between(self.db, _moment(start - AFTER), until, region=region)
        ]
        log.info(
            "region fitted", region=region, minutes=len(load), events=len(events), reason="day_or_calendar"
        )
        return fit(load, start, events, boot=self.boot, unit=self.unit, policy=self.policy)


def _current(one: Fit | None, minute: int) -> bool:
    """Tell whether what was fitted of a region still says something about now."""
    return bool(one and one.minute <= minute < one.minute + DAY)


def _here(db: Connection, known: Mapping[str, Fit], minute: int) -> dict[str, _Advanced]:
    """Return how far each region's fit has gone on.

    From its beginning where this process has not, or went beyond.
    """
    for region, one in known.items():
        had = _advanced.get(region)
        if had and (had.version != one.version or had.next > minute):
            del _advanced[region]
    stored = fits.read(db, [one.version for region, one in known.items() if region not in _advanced])
    for region, one in known.items():
        if one.version in stored:
            forecast = PeakForecast(stored[one.version])
            _advanced[region] = _Advanced(one.version, forecast, one.minute, forecast.last)
    return {region: _advanced[region] for region in known if region in _advanced}


@contextmanager
def _alone(db: Connection, region: str, waiting: set[str]) -> Iterator[None]:
    """Around what is done for one region: what fails there keeps no other one from being decided."""
    try:
        yield
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        log.error("region not fitted", region=region, reason="unfit", detail=str(error))
        fits.forget(db, region)
        _advanced.pop(region, None)
        waiting.add(region)


def _see(one: _Advanced, seen: Mapping[int, int]) -> None:
    new = {minute: count for minute, count in seen.items() if minute >= one.next}
    for value in filled({one.next - 1: one.last} | new)[1:].tolist():
        if not one.forecast.stale:
            one.forecast.see(value)
            one.next, one.last = one.next + 1, value


def held(seen: Mapping[int, float]) -> Array:
    """Return a value for each minute from the first to the last, what is missing as it was last.

    Nobody knew the next one.
    """
    minutes = np.array(sorted(seen))
    values = np.array([float(seen[minute]) for minute in minutes.tolist()])
    every = np.arange(minutes[0], minutes[-1] + 1)
    found: Array = values[np.searchsorted(minutes, every, side="right") - 1]
    return found


def filled(seen: Mapping[int, float]) -> Array:
    """Return a value for each minute from the first to the last.

    What is missing is drawn straight between its neighbours.
    """
    minutes = sorted(seen)
    if not minutes:
        return np.zeros(0)
    return np.interp(
        np.arange(minutes[0], minutes[-1] + 1), minutes, [float(seen[minute]) for minute in minutes]
    )


def _ended(now: Moment) -> int:
    """Return the minute after the last one of which all is written."""
    return int((now - LANDED).timestamp()) // 60


def _moment(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
