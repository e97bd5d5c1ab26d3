"""A calendar and a load that never were, made from the trade's figures.

For simulations, benchmarks and the demo. Pure. Months, weekdays, hours and guests are those of US surveys
(docs/decisions/0011-capacity.md names them). The same seed, the same world. The people behave a bit otherwise
than the forecaster assumes, as real ones do.
"""

from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from workers.forecasting.rules.forecast import Policy as Forecasting
from workers.forecasting.rules.forecast import spans
from workers.forecasting.rules.shares import PHASES, VENUES, Shares
from workers.foundation.moments import Moment
from workers.seasons.rules.season import US_MONTHS
from workers.weddings.rules.calendar import Policy as Phases
from workers.weddings.rules.calendar import VenueType, Wedding, instant

Array = NDArray[np.float64]

#: Percent by weekday, Monday first; ceremony hours with their percent.
WEEKDAYS = (1.5, 1.5, 2.0, 5.0, 15.0, 62.0, 13.0)
HOURS: Mapping[int, int] = {11: 5, 13: 9, 14: 9, 15: 17, 16: 29, 17: 21, 18: 8, 19: 2}
#: Weddings that are called off, and that are moved by a week, of 100; both within the last two months.
CANCELLED, MOVED = 0.03, 0.04
OPEN_AIR = (VenueType.OUTDOOR, VenueType.BEACH, VenueType.GARDEN)
REGIONS: Mapping[str, str] = {
    "us-northeast": "America/New_York",
    "us-south": "America/Chicago",
    "us-west": "America/Los_Angeles",
}


@dataclass(frozen=True)
class Version:
    """A wedding as the calendar had it from one moment until another (None: to the end)."""

    wedding: Wedding
    known_from: Moment
    known_until: Moment | None = None


def expected(day: date, a_year: float) -> float:
    """Return how many weddings there are on a day, on average, of so many a year."""
    return a_year * US_MONTHS[day.month - 1] / 100 * WEEKDAYS[day.weekday()] / 100 * 7 / 30.4


def weddings(
    days: Iterable[date], a_year: float, chance: Generator, regions: Mapping[str, str] = REGIONS
) -> Iterator[Wedding]:
    """Yield the weddings of days; guests are lognormal (median 100, sigma 0.55), vendors 14 on average."""
    hours, share, names = np.array(list(HOURS)), np.array(list(HOURS.values())) / 100, list(regions)
    for day in days:
        many = int(chance.poisson(expected(day, a_year)))
        where, venues = (
            chance.integers(len(names), size=many).tolist(),
            chance.integers(len(VENUES), size=many).tolist(),
        )
        minutes = (chance.choice(hours, many, p=share) * 60 + chance.choice([0, 30], many)).tolist()
        lasts = chance.choice([5.0, 5.5, 6.0], many).tolist()
        guests = np.clip(np.round(chance.lognormal(4.605, 0.55, many)), 10, 600).astype(int).tolist()
        teams = np.maximum(3, np.round(chance.normal(14, 3, many))).astype(int)
        participants = np.split(chance.integers(0, 400, int(teams.sum())), np.cumsum(teams)[:-1])
        for number in range(many):
            starts = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes[number])  # noqa: DTZ001 - local wall time
            region, vendors = (
                names[where[number]],
                tuple(f"s{one}" for one in np.unique(participants[number]).tolist()),
            )
            facts = lasts[number], guests[number], VENUES[venues[number]], region, regions[region], vendors
            yield _wedding(f"w-{day:%Y%m%d}-{number:04}", starts, *facts)


def _wedding(
    id: str,
    starts: datetime,
    hours: float,
    guests: int,
    venue: VenueType,
    region: str,
    zone: str,
    vendors: tuple[str, ...],
) -> Wedding:
    ends = starts + timedelta(hours=hours)
    begins, finishes = instant(starts, zone).at, instant(ends, zone, end=True).at
    if begins is None or finishes is None:
        # The clock skips it once a year, between two and three at night.
        return _wedding(id, starts + timedelta(hours=1), hours, guests, venue, region, zone, vendors)
    return Wedding(id, starts, ends, zone, begins, finishes, guests, venue, region, supplier_ids=vendors)


def calendar(planned: Iterable[Wedding], chance: Generator, *, storms: Iterable[date] = ()) -> list[Version]:
    """Return the calendar with its changes.

    Some weddings are called off or moved, and a storm moves all in the open air. Weddings are booked a year
    ahead. A storm is known four hours before: they begin two hours earlier.
    """
    found: list[Version] = []
    stormy = set(storms)
    for one in planned:
        booked, decided = (
            one.starts_at - timedelta(days=365),
            one.starts_at - timedelta(days=float(chance.uniform(1, 60))),
        )
        fate = chance.random()
        if one.starts_local.date() in stormy and one.venue_type in OPEN_AIR:
            found += _moved(one, timedelta(hours=-2), booked, one.starts_at - timedelta(hours=4))
        elif fate < CANCELLED:
            found.append(Version(one, booked, decided))
        elif fate < CANCELLED + MOVED:
            found += _moved(one, timedelta(days=7), booked, decided)
        else:
            found.append(Version(one, booked))
    return found


def _moved(one: Wedding, by: timedelta, booked: Moment, decided: Moment) -> list[Version]:
    later = replace(
        one,
        **{name: getattr(one, name) + by for name in ("starts_local", "ends_local", "starts_at", "ends_at")},
    )
    return [Version(one, booked, decided), Version(later, decided)]


class Known:
    """The calendar as it was known at a moment, of the weddings that matter within some days of it."""

    def __init__(self, versions: Sequence[Version]) -> None:
        """Take the versions of a region."""
        self._versions = sorted(versions, key=lambda one: one.wedding.starts_at)
        self._starts = [one.wedding.starts_at for one in self._versions]

    def __call__(self, at: Moment) -> list[Wedding]:
        """Return the weddings from five weeks before to four days after."""
        near = slice(
            bisect(self._starts, at - timedelta(days=36)), bisect(self._starts, at + timedelta(days=4))
        )
        return [
            one.wedding
            for one in self._versions[near]
            if one.known_from <= at and (one.known_until is None or at < one.known_until)
        ]


def took_place(versions: Iterable[Version]) -> list[Wedding]:
    """Return the weddings that were held."""
    return [one.wedding for one in versions if one.known_until is None]


def truth(policy: Forecasting, chance: Generator) -> Shares:
    """Return the shares that people really have: up to 30 % beside what is assumed."""
    assumed = policy.assumed
    guests = assumed.guests * chance.uniform(0.7, 1.3, assumed.guests.shape)
    return replace(assumed, guests=guests, vendors=assumed.vendors * chance.uniform(0.7, 1.3, len(PHASES)))


def load(
    held: Sequence[Wedding],
    starts_at: datetime,
    minutes: int,
    shares: Shares,
    phases: Phases,
    chance: Generator,
    *,
    crowded: Iterable[date] = (),
    base: float = 20.0,
) -> Array:
    """Return a region's connections by minute.

    Each wedding has its own zeal, people come and go over 20 minutes, all is noisy. On `crowded` days (a
    storm) half as many again look. `base` is who is there without any wedding, on average over a day.
    """
    level = np.zeros(minutes + 1)
    zeal = chance.lognormal(-(shares.spread**2) / 2, shares.spread, len(held))
    zeal *= (
        np.where([one.starts_local.date() in set(crowded) for one in held], 1.5, 1.0) if len(held) else 1.0
    )
    for phase, begin, end in spans(held, phases):
        participants = shares.present(held, phase, 3.0) * zeal
        for edge, sign in ((begin, 1.0), (end, -1.0)):
            at = np.clip((edge - starts_at.timestamp()) // 60, 0, minutes).astype(np.int64)
            level += sign * np.bincount(at, participants, minutes + 1)
    kernel = np.ones(21) / 21
    smooth = np.convolve(np.cumsum(level)[:minutes], kernel, "same")
    clock = (np.arange(minutes) + starts_at.hour * 60 + starts_at.minute) / 1440 * 2 * np.pi
    quiet = base * (1 - 0.8 * np.cos(clock - 1.3))
    wobble = np.convolve(chance.normal(0.0, 0.02, minutes), np.exp(-np.arange(60) / 20), "same")
    found: Array = np.round(
        np.maximum((smooth + quiet) * (1 + wobble) + chance.normal(0, 1, minutes) * np.sqrt(quiet), 0.0)
    )
    return found
