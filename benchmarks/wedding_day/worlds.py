"""Weddings of one Saturday, with a timeline each, and how their days went."""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.random import Generator

from workers.simulation.rules import days, imagined
from workers.wedding_day.rules import plans
from workers.wedding_day.rules.course import Day
from workers.wedding_day.rules.plans import Plan, Reported
from workers.weddings.formats import timeline as formats
from workers.weddings.rules.calendar import Wedding

SATURDAY = date(2026, 10, 10)
#: So many weddings a year have ten thousand and more on that day.
A_YEAR = 125_000
#: In minutes from the ceremony: the first look, the last, and how far they are apart.
FIRST, LAST, EVERY = -360, 300, 5


@dataclass(frozen=True)
class Played:
    """A wedding, its plan, and how its day went, by place."""

    wedding: Wedding
    plan: Plan
    went: list[days.Went]

    def day(self, minute: float) -> Day:
        """Return the day as it was known at a minute."""
        started = {place: one.started for place, one in enumerate(self.went) if one.start_reported <= minute}
        ended = {place: one.ended for place, one in enumerate(self.went) if one.end_reported <= minute}
        return Day(self.plan, Reported(started, ended), minute, self.wedding.venue_type)

    def late(self, place: int) -> float:
        """Return by how many minutes a moment started after its plan."""
        return self.went[place].started - self.plan.starts[place]


def weddings(many: int, chance: Generator) -> list[Wedding]:
    """Return so many weddings of the day, each with its timeline."""
    found: list[Wedding] = []
    while len(found) < many:
        for one in imagined.weddings([SATURDAY], A_YEAR, chance):
            typed = days.typed(replace(one, id=f"{one.id}-{len(found)}"))
            found.append(replace(typed, timeline=formats.document(days.timeline(typed))))
    return found[:many]


def played(many: int, seed: int, forgotten: float) -> list[Played]:
    """Return so many days as they went."""
    chance, found = np.random.default_rng(seed), []
    for one in weddings(many, chance):
        moments = days.timeline(one)
        plan = plans.compiled(one, moments)
        went = days.went(one.venue_type, days.weather(chance), chance, forgotten=forgotten)
        by_id = {moment.id: own for moment, own in zip(moments, went, strict=True)}
        found.append(Played(one, plan, [by_id[id] for id in plan.ids]))
    return found
