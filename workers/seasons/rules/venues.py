"""What kind of place a wedding is held at, and what follows for load and capacity. Pure.

The figures are assumptions to start from; what past weddings teach (workers/forecasting/rules/shares.py)
replaces the shares.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from workers.weddings.rules.calendar import Phase, VenueType

#: From which risk of weather a venue is in the open air; up to which share of connected people its network is
#: weak.
OPEN_AIR, WEAK = 0.2, 0.95


@dataclass(frozen=True)
class Profile:
    """`connectivity` is how many of those who would connect can.

    `weather_risk` how likely weather upsets the plan, 0-1. `shape` is by how much a phase has more (or fewer)
    of its guests online than elsewhere.
    """

    connectivity: float = 1.0
    weather_risk: float = 0.0
    shape: Mapping[Phase, float] = field(default_factory=dict)

    @property
    def is_open_air(self) -> bool:
        """Tell whether weather can upset the plan: then it is forecast, and a plan B prepared."""
        return self.weather_risk >= OPEN_AIR

    @property
    def is_weak(self) -> bool:
        """Tell whether its network fails many: thick walls, or nothing but mobile data for all."""
        return self.connectivity <= WEAK

    @property
    def lead(self) -> timedelta:
        """Return how long before a ceremony capacity is there.

        A plan B is decided in the last hours, when everybody looks at once: where it is likely there is room
        an hour earlier.
        """
        return timedelta(hours=3 if self.is_open_air else 2)


PROFILES: Mapping[VenueType, Profile] = {
    VenueType.OUTDOOR: Profile(0.95, 0.30, {Phase.SETUP: 1.2}),
    VenueType.CHURCH: Profile(0.90, 0.0, {Phase.CEREMONY: 0.8}),
    VenueType.BANQUET_HALL: Profile(1.05, 0.0, {Phase.RECEPTION: 1.1}),
    VenueType.BEACH: Profile(0.85, 0.35, {Phase.SETUP: 1.2, Phase.CEREMONY: 1.1}),
    VenueType.GARDEN: Profile(1.0, 0.25, {Phase.SETUP: 1.1}),
    VenueType.HISTORIC: Profile(0.90, 0.05),
}


def factor(venue: VenueType, phase: Phase) -> float:
    """Return by what the usual share of guests online is multiplied at a venue in a phase."""
    profile = PROFILES[venue]
    return profile.connectivity * profile.shape.get(phase, 1.0)
