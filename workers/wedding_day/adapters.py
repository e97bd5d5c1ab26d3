"""The weather ahead, as Open-Meteo gives it; and a tenant of Supabase Realtime that sleeps.

`GET /v1/forecast` with coordinates of several places, separated by commas, answers with a list; of one place
with an object. Hours are parallel lists, values that are not known null; what is wrong is HTTP 400 with a
`reason`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

import httpx2
import orjson
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from workers.foundation import breaker, clock
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


class TenantUnreachable(ExpectedError):
    """Supabase Realtime did not let us join a channel: {problem}"""

    http_status = 503


@dataclass(frozen=True)
class Tenant:
    """Where a tenant of Supabase Realtime is joined, and with which key."""

    url: str
    key: str


def tenant() -> Tenant | None:
    """Return the platform's tenant, of SUPABASE_URL and its key; None where it has none."""
    project = os.environ.get("SUPABASE_URL", "").rstrip("/")
    key = os.environ.get("SUPABASE_KEY") or os.environ.get("SUPABASE_ANON_KEY", "")
    return Tenant(f"{project.replace('http', 'ws', 1)}/realtime/v1", key) if project and key else None


def join_ms(to: Tenant, wedding_id: str) -> float:
    """Return how many ms it takes to join a wedding's channel. Raises TenantUnreachable.

    A tenant that nobody used for eleven minutes has no database connection: joining opens one.
    """
    topic = f"realtime:wedding:{wedding_id}"
    frame = {"topic": topic, "event": "phx_join", "payload": {"config": {}}, "ref": "1", "join_ref": "1"}
    words = urlencode({"apikey": to.key, "vsn": "1.0.0"})
    begun = clock.stopwatch()
    try:
        with connect(f"{to.url}/websocket?{words}", open_timeout=PATIENCE, close_timeout=1) as socket:
            socket.send(orjson.dumps(frame).decode())
            while clock.stopwatch() - begun < PATIENCE:
                answer = orjson.loads(socket.recv(timeout=PATIENCE))
                if isinstance(answer, dict) and answer.get("ref") == "1":
                    return (clock.stopwatch() - begun) * 1000
    except (OSError, TimeoutError, WebSocketException, ValueError) as error:
        raise TenantUnreachable(problem=str(error)[:200]) from error
    raise TenantUnreachable(problem=f"no answer within {PATIENCE:g} s")
