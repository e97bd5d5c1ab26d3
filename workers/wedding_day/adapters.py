"""The weather ahead, as Open-Meteo gives it.

`GET /v1/forecast` with coordinates of several places, separated by commas, answers with a list; of one place
with an object. Hours are parallel lists, values that are not known null; what is wrong is HTTP 400 with a
`reason`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx2
import orjson

from workers.foundation import breaker
from workers.foundation.errors import ExpectedError
from workers.wedding_day.rules.weather import Hour

#: In seconds; how many places one question names.
PATIENCE, AT_ONCE = 10.0, 50
#: What is asked of each hour, in this order.
_ASKED = (
    "precipitation",
    "precipitation_probability",
    "wind_gusts_10m",
    "temperature_2m",
    "weather_code",
)
#: Days ahead; today is the first.
_DAYS = 5


class WeatherUnavailable(ExpectedError):
    """the weather is not known: {problem}; it is asked for again, and what was known before holds"""

    http_status = 503


@cache
def _client() -> httpx2.Client:
    return httpx2.Client(timeout=PATIENCE)


def forecast(url: str, places: Sequence[str]) -> dict[str, list[Hour]]:
    """Return the hours ahead at places, as `latitude;longitude`. Raises WeatherUnavailable."""
    found: dict[str, list[Hour]] = {}
    for first in range(0, len(places), AT_ONCE):
        asked = places[first : first + AT_ONCE]
        answers = _ask(url, asked)
        found |= {place: _hours(one) for place, one in zip(asked, answers, strict=True)}
    return found


def _ask(url: str, places: Sequence[str]) -> list[Any]:
    latitudes, longitudes = zip(*(place.split(";") for place in places), strict=True)
    words = {"latitude": ",".join(latitudes), "longitude": ",".join(longitudes)}
    words |= {"hourly": ",".join(_ASKED), "timeformat": "unixtime", "forecast_days": str(_DAYS)}
    try:
        with breaker.guarded("weather", _failed):
            answer = _client().get(f"{url.rstrip('/')}/v1/forecast", params=words)
        read = orjson.loads(answer.content)
    except (httpx2.HTTPError, httpx2.InvalidURL, breaker.CircuitOpen, orjson.JSONDecodeError) as error:
        raise WeatherUnavailable(problem=str(error)[:200]) from error
    if answer.status_code != 200:
        reason = read.get("reason", "") if isinstance(read, dict) else ""
        raise WeatherUnavailable(problem=f"HTTP {answer.status_code} {str(reason)[:200]}".strip())
    answers = read if isinstance(read, list) else [read]
    if len(answers) != len(places):
        raise WeatherUnavailable(problem=f"{len(answers)} answers for {len(places)} places")
    return answers


def _failed(error: BaseException) -> bool:
    return isinstance(error, httpx2.HTTPError)


def _hours(answer: Any) -> list[Hour]:
    """Read an answer; hours of which something is not known but the chance of rain are left out."""
    try:
        hourly = answer["hourly"]
        rows = zip(hourly["time"], *(hourly[name] for name in _ASKED), strict=True)
        return [_hour(row) for row in rows if None not in (*row[:2], *row[3:])]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WeatherUnavailable(problem=f"its answer can't be read: {error!r}"[:200]) from error


def _hour(row: Sequence[Any]) -> Hour:
    at, rain, chance, gusts, temperature, code = row
    likely = None if chance is None else min(1.0, max(0.0, float(chance) / 100))
    facts = float(rain), likely, float(gusts), float(temperature), int(code)
    return Hour(datetime.fromtimestamp(at, UTC), *facts)
