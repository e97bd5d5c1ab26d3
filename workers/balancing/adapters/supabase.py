"""Stock Supabase Realtime nodes keep no registry.

Their Prometheus metrics say how many are connected, by node and tenant. `GET /metrics` wants a JWT (HS256,
METRICS_JWT_SECRET); a node can also push the same text. Families and labels are those of Supabase Realtime
2.129.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, ClassVar
from urllib.parse import urlsplit
from zlib import decompressobj
from zlib import error as zlib_error

import httpx2
import jwt
from prometheus_client.parser import text_string_to_metric_families

from workers.foundation import breaker, clock, logs, settings
from workers.foundation.errors import ExpectedError

log = logs.get("balancing")

#: A page of metrics of a thousand tenants is half a megabyte.
LARGEST = 16_000_000
#: No counter of a node is beyond what a double counts exactly.
LARGEST_VALUE = 2**53
#: What of a family goes where: these are as they are now …
_NOW = {"realtime_connections_connected": "connections", "osmon_cpu_util": "cpu", "osmon_ram_usage": "memory"}
#: … and these only ever grow. The parser takes `_total` off a counter's family.
_EVER = {
    "realtime_channel_events": "messages",
    "realtime_channel_error": "errors",
    "realtime_channel_input_bytes": "bytes",
    "realtime_channel_output_bytes": "bytes",
    "realtime_channel_joins": "opened",
}


class ScrapeRefused(ExpectedError):
    """{url} answered {status}; set SUPABASE_JWT_SECRET to the METRICS_JWT_SECRET of that deployment"""


class MetricsInvalid(ExpectedError):
    """what {source} sent is no Prometheus text: {problem}"""

    http_status = 422


class PushRefused(ExpectedError):
    """a push needs the login of SUPABASE_PUSH_LOGIN"""

    http_status = 401


@dataclass(frozen=True)
class Policy:
    """`urls` are the nodes' metrics, with spaces between them; `capacity` is what one node can hold.

    `push_login` (user:password) lets nodes push instead, to /v1/supabase/metrics. Both secrets are given by
    environment only.
    """

    prefix: ClassVar = "SUPABASE_"

    urls: str = ""
    jwt_secret: str = ""
    push_login: str = ""
    capacity: int = 10_000

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        if any(not url.startswith(("http://", "https://")) for url in self.urls.split()):
            raise ValueError("urls must each start with http:// or https://")
        if "@" in self.urls:
            raise ValueError("urls must have no user and password; set SUPABASE_JWT_SECRET")
        if self.capacity < 1:
            raise ValueError("capacity must be 1 or more")


@dataclass
class Scraped:
    """What one node said: gauges `now`, counters `ever`, connections by tenant. CPU and memory: percent.

    A tenant without connections for ten minutes is absent: absent is not zero, but not measured.
    """

    node: str
    region: str
    now: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    ever: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    tenants: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def policy() -> Policy:
    """Return the settings SUPABASE_…"""
    return settings.read(Policy)


def scrape(given: Policy) -> Iterator[Scraped]:
    """Yield what every node says.

    One that does not answer, or with nonsense, is logged and the others are heard.
    """
    for url in given.urls.split():
        try:
            yield from _ask(url, given)
        except (httpx2.HTTPError, ExpectedError) as error:
            log.warning(
                "node not scraped", url=url, reason=getattr(error, "reason", "unreachable"), detail=str(error)
            )


def _ask(url: str, given: Policy) -> Iterable[Scraped]:
    with breaker.guarded(f"supabase {urlsplit(url).netloc}", _no_answer):
        answer = httpx2.get(url, headers={"Authorization": f"Bearer {_token(given)}"}, timeout=3)
    if answer.status_code != 200:
        raise ScrapeRefused(url=url, status=answer.status_code)
    return read(answer.text, source=url)


def _no_answer(error: BaseException) -> bool:
    return isinstance(error, httpx2.HTTPError)


def _token(given: Policy) -> str:
    now = int(clock.epoch())
    return jwt.encode({"iat": now, "exp": now + 60}, given.jwt_secret or "unset", "HS256")


def check_size(length: str) -> None:
    """Raise MetricsInvalid when a push is larger than LARGEST, or does not say how large it is."""
    if not length.isdecimal() or int(length) > LARGEST:
        raise MetricsInvalid(
            source="the push", problem=f"it must say its Content-Length, {LARGEST} bytes at most"
        )


def pushed(body: bytes, encoding: str) -> Iterable[Scraped]:
    """Return what a pushed page says. Raises MetricsInvalid."""
    return read(_unpacked(body, encoding), source="the push")


def _unpacked(body: bytes, encoding: str) -> str:
    try:
        if encoding == "gzip":
            body = decompressobj(wbits=31).decompress(body, LARGEST + 1)
        text = body.decode()
    except (zlib_error, UnicodeDecodeError) as error:
        raise MetricsInvalid(source="the push", problem=error) from error
    if len(text) > LARGEST:
        raise MetricsInvalid(source="the push", problem=f"more than {LARGEST} bytes")
    return text


def read(text: str, *, source: str) -> Iterable[Scraped]:
    """Return what a page of metrics says, by node. Raises MetricsInvalid."""
    found: dict[tuple[str, str], Scraped] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                _take(found, family.name, sample)
    except (ValueError, KeyError) as error:
        raise MetricsInvalid(source=source, problem=error) from error
    for node in found.values():
        for name, value in (node.now | node.ever).items():
            if not 0 <= value <= LARGEST_VALUE:
                raise MetricsInvalid(source=source, problem=f"{name} of {node.node} is {value:g}")
    return found.values()


def _take(found: dict[tuple[str, str], Scraped], family: str, sample: Any) -> None:
    if not (name := _NOW.get(family) or _EVER.get(family)) or not isfinite(sample.value):
        return
    region, host = (
        sample.labels.get("region") or "unknown",
        sample.labels.get("host") or sample.labels.get("id") or "unknown",
    )
    node = found.setdefault((region, host), Scraped(host, region))
    (node.now if family in _NOW else node.ever)[name] += sample.value
    if family == "realtime_connections_connected" and (tenant := sample.labels.get("tenant")):
        node.tenants[tenant] += int(sample.value)
