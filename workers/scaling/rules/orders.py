"""What people may order of scaling, and which mode a region is in because of it. Pure."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from workers.foundation.moments import Moment
from workers.scaling.rules.policy import Policy


class Kind(StrEnum):
    """What may be ordered. The first two exclude each other."""

    LIVE = "live"
    SHADOW = "shadow"
    SUSPEND_SCALE_IN = "suspend_scale_in"
    SUSPEND_SCALE_OUT = "suspend_scale_out"
    EMERGENCY = "emergency"


class Mode(StrEnum):
    """What becomes of a region's decisions: they are applied, or only written and compared."""

    LIVE = "live"
    SHADOW = "shadow"


MODES = (Kind.LIVE, Kind.SHADOW)


def mode(ordered: Container[Kind], policy: Policy) -> Mode:
    """Return the mode of a region by the kinds of its active orders.

    Without predictive scaling all only watch. A shadow order wins, also over a live one: it may be for a
    time, and what was before it holds again. The SQL view `keda_desired` says the same.
    """
    if Kind.SHADOW in ordered or not policy.predictive:
        return Mode.SHADOW
    return Mode.LIVE if Kind.LIVE in ordered else Mode(policy.new_regions)


@dataclass(frozen=True)
class Order:
    """What somebody ordered for a region, why, and until when (None: until it is ended)."""

    region: str
    kind: Kind
    reason: str
    requested_by: str
    at: Moment
    until: datetime | None = None
    value: int = 0
    ended_at: datetime | None = None
    ended_by: str | None = None

    def holds(self, at: Moment) -> bool:
        """Tell whether it held at a moment."""
        return self.at <= at and not any(end is not None and end <= at for end in (self.until, self.ended_at))
