"""Wedding days that never were: a timeline for each wedding, and how it went. Pure.

For benchmarks, tests and the demo; the figures are our assumptions. Most moments start within a few minutes
of their time. On one day of six one of the preparations is late by 25 to 80 minutes, and what waits for it is
late as well, less what the plan has in hand. Whoever is late hurries: lengths that can be are shortened by up
to two fifths. A supplier's own pace and the day's weigh on all of their moments, which the forecast does not
know. One of twenty reports is forgotten, the others come within four minutes.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from numpy.random import Generator

from workers.weddings.rules.calendar import VenueType, Wedding
from workers.weddings.rules.timeline import CRITICAL, TimelineMoment, owners

#: Moment, minutes from the ceremony, minutes it lasts, owner by type, what it comes after, whether it can be
#: shortened.
_TEMPLATE: tuple[tuple[str, int, int, str, tuple[str, ...], bool], ...] = (
    ("venue_open", -360, 30, "venue", (), False),
    ("flowers", -300, 120, "florist", ("venue_open",), False),
    ("tables", -300, 150, "caterer", ("venue_open",), False),
    ("sound", -210, 60, "band", ("venue_open",), False),
    ("hair_makeup", -300, 180, "couple", (), False),
    ("dressing", -100, 40, "couple", ("hair_makeup",), False),
    ("first_look", -55, 30, "photographer", ("dressing",), True),
    ("guests_arrive", -40, 35, "", ("flowers",), False),
    ("ceremony", 0, 30, "planner", ("first_look", "guests_arrive", "sound"), False),
    ("cocktail", 35, 75, "caterer", ("ceremony", "tables"), True),
    ("group_photos", 35, 45, "photographer", ("ceremony",), True),
    ("couple_photos", 80, 25, "photographer", ("group_photos",), True),
    ("entrance", 115, 10, "planner", ("cocktail", "couple_photos"), False),
    ("speeches", 130, 25, "planner", ("entrance",), True),
    ("dinner", 160, 80, "caterer", ("speeches",), True),
    ("cake", 245, 10, "caterer", ("dinner",), False),
    ("first_dance", 260, 10, "band", ("cake",), False),
    ("dancing", 270, 80, "band", ("first_dance",), True),
)
#: A share of reports.
FORGOTTEN = 0.05
_HAS_TROUBLE = 1 / 6
_TROUBLED = (
    "flowers",
    "tables",
    "sound",
    "hair_makeup",
    "dressing",
    "first_look",
    "cocktail",
    "group_photos",
)
_OPEN_AIR = frozenset({VenueType.OUTDOOR, VenueType.BEACH, VenueType.GARDEN})
#: A share of days, and by how much what is set up in the open air takes longer then.
_RAIN, _IN_RAIN = 0.25, 1.15


@dataclass(frozen=True)
class Went:
    """How a moment went, and when that was reported: minutes from the ceremony, NaN where forgotten."""

    started: float
    ended: float
    start_reported: float
    end_reported: float


def timeline(wedding: Wedding) -> list[TimelineMoment]:
    """Return a wedding's moments: the same for all, at its own times; nobody owns what is of no supplier."""
    there = owners(wedding)
    return [
        TimelineMoment(
            kind,
            wedding.starts_local + timedelta(minutes=at),
            wedding.starts_local + timedelta(minutes=at + lasts),
            kind,
            owner if owner in there else "",
            after,
            critical=kind in CRITICAL,
        )
        for kind, at, lasts, owner, after, _ in _TEMPLATE
    ]


def typed(wedding: Wedding) -> Wedding:
    """Return a wedding whose suppliers are of the types that own moments."""
    types = ("venue", "florist", "caterer", "band", "photographer")
    duties = {one: {"type": types[n % len(types)]} for n, one in enumerate(wedding.supplier_ids)}
    return replace(wedding, duties=duties)


def weather(chance: Generator) -> str:
    """Return what a day's weather is."""
    return "rain" if chance.random() < _RAIN else "dry"


def went(venue: VenueType, sky: str, chance: Generator, *, forgotten: float = FORGOTTEN) -> list[Went]:
    """Return how a day went, by moment of `timeline`."""
    paces = {owner: float(chance.lognormal(0.0, 0.3)) for _, _, _, owner, _, _ in _TEMPLATE}
    day = float(chance.lognormal(0.0, 0.15))
    troubled = str(chance.choice(_TROUBLED)) if chance.random() < _HAS_TROUBLE else ""
    ends: dict[str, float] = {}
    found = []
    for kind, at, lasts, owner, after, is_elastic in _TEMPLATE:
        ready = max([float(at), *(ends[other] for other in after)])
        start = ready + _delay(chance) * paces[owner] * day
        if kind == troubled:
            start += float(chance.uniform(25, 80))
        share = float(chance.lognormal(-0.02, 0.06)) * day**0.3
        if sky == "rain" and venue in _OPEN_AIR and at < 0:
            share *= _IN_RAIN
        if is_elastic:
            share *= max(0.6, 1 - 0.01 * max(0.0, start - at))
        ends[kind] = start + lasts * share
        found.append(
            Went(
                start,
                ends[kind],
                _reported(start, chance, forgotten),
                _reported(ends[kind], chance, forgotten),
            )
        )
    return found


def _delay(chance: Generator) -> float:
    return float(chance.normal(0.5, 1.0)) if chance.random() < 0.6 else float(chance.lognormal(1.1, 0.5))


def _reported(at: float, chance: Generator, forgotten: float) -> float:
    return float("nan") if chance.random() < forgotten else at + float(chance.uniform(0, 4))
