"""What people can do without, so that the rest goes on; and how much of it in each phase. Pure."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from workers.connections.rules.modes import EVERYWHERE, scope
from workers.weddings.rules.calendar import Phase


class Feature(StrEnum):
    """What a gateway may leave out. The timeline and urgent messages are none of it."""

    #: Who is here, as it changes.
    PRESENCE = "presence"
    #: That somebody types.
    TYPING = "typing"
    #: What was said before somebody joined.
    HISTORY = "history"
    #: What guests broadcast, on channels of kinds that wait.
    BROADCAST = "broadcast"


_ALL = tuple(Feature)
#: What is shed in a phase, in this order. In set-up people find each other by broadcasts, and a reception is
#: what its guests say.
SHEDDING: Mapping[Phase, tuple[Feature, ...]] = {
    Phase.PLANNING: _ALL,
    Phase.SETUP: _ALL[:3],
    Phase.CEREMONY: _ALL,
    Phase.RECEPTION: _ALL[:3],
    Phase.WIND_DOWN: _ALL,
    Phase.OVER: _ALL,
}


def sheddable(phases: Collection[Phase]) -> tuple[Feature, ...]:
    """Return what may be shed where weddings are in some phases: what all of them can do without."""
    return tuple(one for one in _ALL if all(one in SHEDDING[phase] for phase in phases))


def shed(active: Mapping[str, Iterable[Feature]], wedding_id: str, region: str) -> list[Feature]:
    """Return what is shed at a wedding, by what is shed in some scopes."""
    own = {
        one for place in (scope(wedding_id), scope("", region), EVERYWHERE) for one in active.get(place, ())
    }
    return [one for one in _ALL if one in own]
