"""What the weather may do to a wedding in the open air. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from workers.foundation.moments import Moment
from workers.seasons.rules.venues import PROFILES
from workers.weddings.rules.calendar import Status, Wedding

#: When a planner is warned, before the start.
MARKS = {"48h": timedelta(hours=48), "24h": timedelta(hours=24)}
#: How far ahead is forecast: Open-Meteo's hourly forecast says little beyond.
AHEAD = timedelta(hours=72)
#: WMO codes from here on are thunderstorms (WMO 4677, as Open-Meteo has it).
THUNDER = 95


@dataclass(frozen=True)
class Policy:
    """Where the weather is forecast, `url`: empty is nowhere, https://api.open-meteo.com is Open-Meteo.

    A forecast is asked for anew `every`. `warn_at` is from which risk (0-1) on a planner is warned. Gusts in
    km/h, temperatures in °C, beyond which nobody sits outside.
    """

    prefix: ClassVar = "WEATHER_"

    url: str = ""
    every: timedelta = timedelta(hours=1)
    warn_at: float = 0.4
    gusts: float = 55.0
    cold: float = 5.0
    hot: float = 36.0

    def __post_init__(self) -> None:
        """Refuse what is no address, and what would warn of everything."""
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must start with http:// or https://, or be empty")
        if not 0 < self.warn_at <= 1:
            raise ValueError("warn_at must lie above 0, and be 1 at most")
        if not timedelta(minutes=10) <= self.every <= timedelta(days=1):
            raise ValueError("every must be from 10m to 1d")


@dataclass(frozen=True)
class Hour:
    """The weather of an hour from `at` on.

    Rain in mm and its chance (0-1, None where it is not forecast), gusts in km/h, temperature in °C, WMO
    code.
    """

    at: datetime
    rain: float
    chance: float | None
    gusts: float
    temperature: float
    code: int


@dataclass(frozen=True)
class Outlook:
    """How likely the weather upsets a wedding, 0-1, and why, the worst first."""

    risk: float
    because: Sequence[str]


def is_asked(wedding: Wedding) -> bool:
    """Tell whether a wedding takes place in the open air, and where is known."""
    return (
        wedding.status is not Status.CANCELLED
        and bool(wedding.geo)
        and PROFILES[wedding.venue_type].is_open_air
    )


def outlook(wedding: Wedding, hours: Iterable[Hour], policy: Policy) -> Outlook | None:
    """Return the weather of a wedding from two hours before its start to its end; None when none is known.

    The risk is that of its worst hour. Rain counts by its chance, half where none is expected to fall;
    thunder, gusts, cold and heat beyond what people sit through count whole.
    """
    first = wedding.starts_at - timedelta(hours=2)
    own = [one for one in hours if first <= one.at < wedding.ends_at]
    if not own:
        return None
    zone, worst = ZoneInfo(wedding.zone), dict[str, tuple[float, str]]()
    for one in own:
        for kind, risk, said in _risks(one, policy):
            if risk > worst.get(kind, (0.0, ""))[0]:
                worst[kind] = risk, f"{said} at {one.at.astimezone(zone):%H:%M}"
    named = sorted(worst.values(), reverse=True)
    return Outlook(named[0][0] if named else 0.0, [said for _, said in named[:3]])


def _risks(hour: Hour, policy: Policy) -> Iterable[tuple[str, float, str]]:
    # Where only an amount is forecast, rain that can be measured counts as likely.
    chance = hour.chance if hour.chance is not None else 0.7 * (hour.rain >= 0.2)
    yield "rain", chance if hour.rain >= 0.1 else chance / 2, f"rain {chance:.0%} ({hour.rain:g} mm)"
    if hour.code >= THUNDER:
        yield "thunder", 1.0, "thunderstorms"
    if hour.gusts >= policy.gusts:
        yield "gusts", 1.0, f"gusts of {hour.gusts:.0f} km/h"
    if not policy.cold < hour.temperature < policy.hot:
        yield "temperature", 1.0, f"{hour.temperature:.0f} °C"


def mark(wedding: Wedding, *, now: Moment) -> str | None:
    """Return which warning is due before a wedding: the last mark that has passed; None before the first."""
    left = wedding.starts_at - now
    return next((name for name, before in reversed(MARKS.items()) if timedelta(0) < left <= before), None)


def plan_b(wedding: Wedding, found: Outlook) -> tuple[str, str]:
    """Return the prepared message that plan B is in force: headline and text."""
    why = ", ".join(found.because) or "the weather"
    headline = f"Plan B: {wedding.id} goes on indoors"
    where = "Take everything to the place agreed on for bad weather."
    text = f"Because of {why}. {where} Times stay unless you hear otherwise. Please acknowledge."
    return headline, text
