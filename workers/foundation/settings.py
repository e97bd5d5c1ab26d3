"""Settings: every plain field of a room's `Policy` can be set by ROOM_FIELD; nothing central to edit."""

import os
import re
from dataclasses import MISSING, dataclass, fields
from datetime import timedelta
from typing import Any, TypeVar, get_type_hints
from urllib.parse import parse_qsl, urlsplit

from pydantic import TypeAdapter, ValidationError

from workers.foundation.errors import Anticipated

Policy = TypeVar("Policy")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.ASCII)
#: What PostgreSQL keeps in an integer; and a hundred years.
_MOST, _LONGEST = 2**31, timedelta(days=36_525)
#: What may hold a password.
_SECRET = re.compile("URL|SECRET|TOKEN|KEY|PASSWORD|LOGIN|TARGETS")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class SettingInvalid(Anticipated):
    """{variable}={value!r}: {allowed}"""


def read(policy: type[Policy], prefix: str) -> Policy:
    """Return `policy` with each field that the environment sets, e.g. SCALING_INSTANCES_MAX for `instances_max`.

    Durations are written 250ms, 30s, 5m, 2h or 7d. Raises SettingInvalid naming the variable, its value and
    what is allowed.
    """
    hints = get_type_hints(policy)
    given: dict[str, Any] = {}
    for field in fields(policy):  # type: ignore[arg-type]
        variable = prefix + field.name.upper()
        if (value := os.environ.get(variable)) is not None:
            given[field.name] = _parse(variable, value, hints[field.name])
        elif field.default is MISSING and field.default_factory is MISSING:
            raise SettingInvalid(variable=variable, value=None, allowed="must be set; it has no default")
    try:
        return policy(**given)
    except ValueError as error:
        # The error names the fields it is about.
        meant = [prefix + name.upper() for name in given if re.search(rf"\b{name}\b", str(error))]
        meant = meant or [prefix + name.upper() for name in given] or [prefix + "*"]
        values = ", ".join("…" if _SECRET.search(name) else os.environ.get(name, "…") for name in meant)
        raise SettingInvalid(variable=", ".join(meant), value=values, allowed=str(error)) from error


def _parse(variable: str, value: str, kind: Any) -> Any:
    if kind is timedelta:
        return duration(variable, value)
    try:
        found = TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise SettingInvalid(variable=variable, value=value, allowed=error.errors()[0]["msg"]) from error
    if isinstance(found, float | int) and not abs(found) < _MOST:
        raise SettingInvalid(variable=variable, value=value, allowed="must be a number, and below 2147483648")
    return found


def drop_service_links() -> None:
    """Take out what Kubernetes puts into the environment for a Service named as a part of ours: FLOWER_PORT=tcp://10.0.0.1:80.

    Flower and the Procfile would take it for a port of their own.
    """
    for variable, value in list(os.environ.items()):
        if variable.endswith("_PORT") and re.match(r"(tcp|udp|sctp)://", value):
            del os.environ[variable]


def duration(variable: str, value: str) -> timedelta:
    """Return what 250ms, 30s, 5m, 2h or 7d says; raises SettingInvalid naming `variable`."""
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise SettingInvalid(variable=variable, value=value, allowed="write a duration as 250ms, 30s, 5m, 2h or 7d")
    try:
        lasts = timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        lasts = timedelta.max
    if lasts > _LONGEST:
        raise SettingInvalid(variable=variable, value=value, allowed="that is longer than any wedding")
    return lasts


#: What an address of Redis may say behind its question mark, to redis-py and kombu alike.
_QUERY = {"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "db"}
_CERTIFICATES = ("required", "optional", "none")


def _query_problem(url: str) -> str | None:
    """Return what is wrong with the query of an address of Redis."""
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    if unknown := sorted(query.keys() - _QUERY):
        return f"has the unknown parameter {unknown[0]}; there are {', '.join(sorted(_QUERY))}"
    if query.get("ssl_cert_reqs", "required") not in _CERTIFICATES:
        return f"has ssl_cert_reqs={query['ssl_cert_reqs'][:20]}; write {', '.join(_CERTIFICATES)}"
    return None


@dataclass(frozen=True)
class Servers:
    """Where the servers are; the defaults are those of docker-compose.yml.

    `broker_url` also holds the registry and must not evict; `cache_url` is sized by us and may. rediss:// turns
    TLS on, redis://user:password@… logs in by ACL. `connections_url` gives connections and what gateways obey a server
    of their own, or with redis+cluster:// (rediss+cluster://) a Redis Cluster.
    """

    broker_url: str = "redis://127.0.0.1:6379/0"
    cache_url: str = "redis://127.0.0.1:6380/0"
    database_url: str = "postgresql://wedops@127.0.0.1:5432/wedops"
    connections_url: str = ""

    def __post_init__(self) -> None:
        """Refuse addresses of another kind, and what is no address."""
        for name, url in vars(self).items():
            try:
                sound = urlsplit(url).port != -1 and urlsplit(url).netloc.count("@") <= 1
            except ValueError:
                sound = False
            if not sound:
                # What the library says of it may quote the password.
                raise ValueError(f"{name} is no address; percent-encode what is special in user and password")
        for name, url in (("broker_url", self.broker_url), ("cache_url", self.cache_url)):
            if not re.match(r"rediss?://[^/?#]*(/\d*)?([?#]|$)", url):
                raise ValueError(
                    f"{name} must start with redis:// or rediss:// (also for Valkey), and end with a number, as /0"
                )
        _check_queries(self)
        if self.connections_url and not re.match(r"rediss?(\+cluster)?://", self.connections_url):
            raise ValueError("connections_url must start with redis://, rediss:// or redis+cluster://")
        if not self.database_url.startswith(("postgresql://", "postgres://")):
            raise ValueError("database_url must start with postgresql://")


def _check_queries(servers: Servers) -> None:
    for name in ("broker_url", "cache_url", "connections_url"):
        if problem := _query_problem(getattr(servers, name)):
            raise ValueError(f"{name} {problem}")


def servers() -> Servers:
    """Return WEDOPS_BROKER_URL, WEDOPS_CACHE_URL, WEDOPS_DATABASE_URL and WEDOPS_CONNECTIONS_URL."""
    return read(Servers, "WEDOPS_")
