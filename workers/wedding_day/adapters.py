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

from workers.foundation import breaker, clock, logs
from workers.foundation.errors import ExpectedError
from workers.wedding_day.rules.weather import Hour

log = logs.get("wedding_day")

#: In seconds; how many places one question names.
PATIENCE, AT_ONCE = 10.0, 50
#: In bytes: fifty places of five days are a third of a megabyte.
LARGEST = 5_000_000
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


class WeatherRefused(WeatherUnavailable):
    """the weather is not known: {problem}; mend `geo` in the calendar"""


@cache
def _client() -> httpx2.Client:
    return httpx2.Client(timeout=PATIENCE)


def forecast(url: str, places: Sequence[str]) -> dict[str, list[Hour]]:
    """Return the hours ahead at some places (AT_ONCE at most), as `latitude;longitude`.

    A place of which the answer can't be read, or that is refused, is left out. Raises WeatherUnavailable.
    """
    try:
        answers = _ask(url, places)
    except WeatherRefused:
        if len(places) == 1:
            raise
        # One that is refused keeps no other from its answer.
        half = len(places) // 2
        return _tried(url, places[:half]) | _tried(url, places[half:])
    found = {place: _hours(one) for place, one in zip(places, answers, strict=True)}
    return {place: hours for place, hours in found.items() if hours is not None}


def _tried(url: str, places: Sequence[str]) -> dict[str, list[Hour]]:
    try:
        return forecast(url, places)
    except WeatherRefused as error:
        log.warning("place refused", reason="weather", detail=str(error), place=places[0])
        return {}


def _ask(url: str, places: Sequence[str]) -> list[Any]:
    latitudes, longitudes = zip(*(place.split(";") for place in places), strict=True)
    words = {"latitude": ",".join(latitudes), "longitude": ",".join(longitudes)}
    words |= {"hourly": ",".join(_ASKED), "timeformat": "unixtime", "forecast_days": str(_DAYS)}
    try:
        with breaker.guarded("weather", _failed):
            status, body = _get(f"{url.rstrip('/')}/v1/forecast", words)
    except (httpx2.HTTPError, httpx2.InvalidURL, breaker.CircuitOpen) as error:
        raise WeatherUnavailable(problem=str(error)[:200]) from error
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WeatherUnavailable(problem=f"HTTP {status}, and no JSON") from error
    if status != httpx2.codes.OK:
        reason = read.get("reason", "") if isinstance(read, dict) else ""
        refused = WeatherRefused if status == httpx2.codes.BAD_REQUEST else WeatherUnavailable
        raise refused(problem=f"HTTP {status} {str(reason)[:200]}".strip())
    answers = read if isinstance(read, list) else [read]
    if len(answers) != len(places):
        raise WeatherUnavailable(problem=f"{len(answers)} answers for {len(places)} places")
    return answers


def _get(url: str, words: dict[str, str]) -> tuple[int, bytes]:
    """Return status and body of an answer that comes whole within PATIENCE, and is no larger than LARGEST."""
    begun, body = clock.stopwatch(), bytearray()
    with _client().stream("GET", url, params=words) as answer:
        for part in answer.iter_bytes():
            body += part
            if clock.stopwatch() - begun > PATIENCE or len(body) > LARGEST:
                raise httpx2.ReadTimeout("its answer takes too long, or is too large")
        return answer.status_code, bytes(body)


def _failed(error: BaseException) -> bool:
    return isinstance(error, httpx2.HTTPError)


def _hours(answer: Any) -> list[Hour] | None:
    """Read an answer; None when it can't be. Hours of which something is unknown or absurd are left out."""
    try:
        hourly = answer["hourly"]
        rows = list(zip(hourly["time"], *(hourly[name] for name in _ASKED), strict=True))
    except (KeyError, TypeError, ValueError) as error:
        log.warning("weather can't be read", reason="weather", detail=repr(error)[:200])
        return None
    return [hour for row in rows if (hour := _hour(row)) is not None]


def _hour(row: Sequence[Any]) -> Hour | None:
    at, rain, chance, gusts, temperature, code = row
    ranged = ((at, 0, 1e11), (rain, 0, 1e3), (gusts, 0, 1e3), (temperature, -100, 70), (code, 0, 99))
    if not all(_is_within(*one) for one in ranged):
        return None
    likely = chance / 100 if _is_within(chance, 0, 100) else None
    return Hour(datetime.fromtimestamp(at, UTC), rain, likely, gusts, temperature, int(code))


def _is_within(value: Any, lowest: float, highest: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest


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
                    return _joined(answer, clock.stopwatch() - begun)
    except (OSError, TimeoutError, WebSocketException, ValueError) as error:
        raise TenantUnreachable(problem=str(error)[:200]) from error
    raise TenantUnreachable(problem=f"no answer within {PATIENCE:g} s")


def _joined(answer: dict[str, Any], seconds: float) -> float:
    payload = answer.get("payload")
    status = payload.get("status") if isinstance(payload, dict) else None
    if status != "ok":
        raise TenantUnreachable(problem=f"it answered {str(status)[:40]!r}")
    return seconds * 1000
