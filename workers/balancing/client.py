"""Stock Supabase Realtime nodes keep no registry: their Prometheus metrics say how many are connected, by node and tenant.

`GET /metrics` wants a JWT (HS256, METRICS_JWT_SECRET); a node can also push the same text. Families and labels are those of
Supabase Realtime 2.129.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from zlib import decompressobj
from zlib import error as zlib_error

import httpx2
import jwt
from prometheus_client.parser import text_string_to_metric_families

from workers.foundation import breaker, clock, settings
from workers.foundation.errors import Anticipated

#: A page of metrics of a thousand tenants is half a megabyte.
LARGEST = 16_000_000
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


class ScrapeRefused(Anticipated):
    """{url} answered {status}; set SUPABASE_JWT_SECRET to the METRICS_JWT_SECRET of that deployment"""


class MetricsInvalid(Anticipated):
    """what {source} sent is no Prometheus text: {problem}"""


class PushRefused(Anticipated):
    """a push needs the login of SUPABASE_PUSH_LOGIN"""


@dataclass(frozen=True)
class Policy:
    """`urls` are the nodes' metrics, with spaces between them; `capacity` is what one node can hold.

    `push_login` (user:password) lets nodes push instead, to /v1/supabase/metrics. Both secrets are given by environment only.
    """

    urls: str = ""
    jwt_secret: str = ""
    push_login: str = ""
    capacity: int = 10_000

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        if any(not url.startswith(("http://", "https://")) for url in self.urls.split()):
            raise ValueError("urls must each start with http:// or https://")
        if self.capacity < 1:
            raise ValueError("capacity must be 1 or more")


@dataclass
class Scraped:
    """What one node said: `now` (connections, cpu and memory in percent), what was counted `ever`, connections by tenant.

    A tenant without connections for ten minutes is absent: absent is not zero, but not measured.
    """

    node: str
    region: str
    now: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    ever: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    tenants: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def policy() -> Policy:
    """Return the settings SUPABASE_…"""
    return settings.read(Policy, "SUPABASE_")


def scrape(given: Policy) -> Iterator[Scraped]:
    """Yield what every node says. Raises ScrapeRefused, MetricsInvalid, or CircuitOpen when they were away again and again."""
    for url in given.urls.split():
        with breaker.guarded("supabase", lambda error: isinstance(error, httpx2.HTTPError)):
            answer = httpx2.get(url, headers={"Authorization": f"Bearer {_token(given)}"}, timeout=5)
        if answer.status_code != 200:
            raise ScrapeRefused(url=url, status=answer.status_code)
        yield from read(answer.text, source=url)


def _token(given: Policy) -> str:
    now = int(clock.epoch())
    return jwt.encode({"iat": now, "exp": now + 60}, given.jwt_secret or "unset", "HS256")


def unpack(body: bytes, encoding: str) -> str:
    """Return a pushed text. Raises MetricsInvalid for what is none, or is larger than LARGEST when unpacked."""
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
    return found.values()


def _take(found: dict[tuple[str, str], Scraped], family: str, sample: Any) -> None:
    if not (name := _NOW.get(family) or _EVER.get(family)):
        return
    region, host = sample.labels.get("region") or "unknown", sample.labels.get("host") or sample.labels.get("id") or "unknown"
    node = found.setdefault((region, host), Scraped(host, region))
    (node.now if family in _NOW else node.ever)[name] += sample.value
    if family == "realtime_connections_connected" and (tenant := sample.labels.get("tenant")):
        node.tenants[tenant] += int(sample.value)
