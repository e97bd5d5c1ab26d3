"""Emergency mode: guests give way, of a wedding, of a region or everywhere. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from workers.weddings.rules.calendar import EVERYWHERE

__all__ = ["EVERYWHERE", "EmergencyMode", "affects", "place", "scope"]


@dataclass(frozen=True)
class EmergencyMode:
    """That guests give way somewhere: by whose order, why, and until when (seconds since 1970).

    `scope` is `wedding:ID`, `region:REGION` or EVERYWHERE.
    """

    scope: str
    owner: str
    reason: str
    until: float


def scope(wedding_id: str = "", region: str = "") -> str:
    """Return where a mode holds: at a wedding, else in a region, else everywhere."""
    return f"wedding:{wedding_id}" if wedding_id else f"region:{region}" if region else EVERYWHERE


def place(scope: str) -> str:
    """Return where a mode holds, as it follows other words: nothing for everywhere."""
    return "" if scope == EVERYWHERE else f" for {scope}"


def affects(scopes: Collection[str], wedding_id: str, region: str) -> bool:
    """Tell whether the guests of a wedding give way, by one of some scopes."""
    return not {scope(wedding_id), scope("", region), EVERYWHERE}.isdisjoint(scopes)
