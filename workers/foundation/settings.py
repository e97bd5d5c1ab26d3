"""Settings: every plain field of a room's `Policy` can be set by ROOM_FIELD; nothing central to edit."""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from datetime import timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, cast, get_origin, get_type_hints

from workers.foundation import addresses, clock, logs
from workers.foundation.errors import ExpectedError


class Settable(Protocol):
    """A frozen dataclass whose fields the environment may set: PREFIX_FIELD.

    Where a variable is not set another one is taken: the platform's, which `also` has by field, or one by an
    older name. `formerly` is the prefix of before, `renamed` has the older names of fields.
    """

    prefix: ClassVar[str]


Policy = TypeVar("Policy", bound=Settable)
Found = TypeVar("Found")
log = logs.get("settings")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.ASCII)
#: What PostgreSQL keeps in an integer; and a hundred years.
_MAX, _LONGEST = 2**31, timedelta(days=36_525)
#: What may hold a password.
_SECRET = re.compile("URL|SECRET|TOKEN|KEY|PASSWORD|LOGIN|TARGETS|AUTH|^ROLES_")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class SettingInvalid(ExpectedError):
    """{variable}={value!r}: {allowed}"""


#: By what was read, the newest that could be.
_good: dict[object, Any] = {}


def good(what: object, make: Callable[[], Found]) -> Found:
    """Return what `make` makes of the environment, or what it made last while a file has a slip of the pen.

    A secret that rotates must not stop who works by it. Raises SettingInvalid for what is from no file, and
    for what never was good.
    """
    refresh()
    try:
        _good[what] = make()
    except SettingInvalid as error:
        if what not in _good or from_files().isdisjoint(error.facts["variable"].split(", ")):
            raise
        _tell(str(error))
    return cast("Found", _good[what])


@lru_cache(maxsize=32)
def _tell(detail: str) -> None:
    """Say once what was not taken: some settings are read for each message."""
    log.error("setting not taken", reason="invalid", detail=detail)


def read(policy: type[Policy]) -> Policy:
    """Return `policy` with each field that the environment sets.

    SCALING_INSTANCES_MAX sets `instances_max`. Durations are written 250ms, 30s, 5m, 2h or 7d, mappings as
    JSON. Raises SettingInvalid naming the variable, its value and what is allowed.
    """
    return good(policy, lambda: _read(policy))


def _read(policy: type[Policy]) -> Policy:
    hints = get_type_hints(policy)
    given: dict[str, Any] = {}
    variables: dict[str, str] = {}
    for field in fields(policy):  # type: ignore[arg-type]
        variable, value = _found(policy, field.name)
        if value is not None:
            given[field.name], variables[field.name] = _parse(variable, value, hints[field.name]), variable
        elif field.default is MISSING and field.default_factory is MISSING:
            raise SettingInvalid(variable=variable, value=None, allowed="must be set; it has no default")
    try:
        return policy(**given)
    except ValueError as error:
        raise _refused(error, variables, policy.prefix) from error


def may_be_secret(variable: str) -> bool:
    """Tell whether a variable may hold a password, by its name."""
    return bool(_SECRET.search(variable))


def _refused(error: ValueError, variables: Mapping[str, str], prefix: str) -> SettingInvalid:
    """Return what is said of a policy that refuses its fields: the error names those that it is about."""
    meant = [variable for name, variable in variables.items() if re.search(rf"\b{name}\b", str(error))]
    meant = meant or list(variables.values()) or [f"{prefix}*"]
    values = ", ".join("…" if may_be_secret(name) else os.environ.get(name, "…") for name in meant)
    return SettingInvalid(variable=", ".join(meant), value=values, allowed=str(error))


def _found(policy: type[Settable], name: str) -> tuple[str, str | None]:
    """Return the variable that sets a field, and its value; None when nothing does."""
    own = policy.prefix + name.upper()
    for variable in (own, *others(policy, name)):
        if (value := os.environ.get(variable)) is not None:
            return variable, value
    return own, None


def others(policy: type[Settable], name: str) -> list[str]:
    """Return by which other variables a field can be set: the platform's, and older names."""
    also = getattr(policy, "also", {}).get(name)
    return [*([also] if also else []), *former(policy, name)]


def former(policy: type[Settable], name: str) -> list[str]:
    """Return the variables by which a field was set before it or its room was renamed."""
    older = getattr(policy, "renamed", {}).get(name)
    prefixes = [
        *([policy.prefix] if older else []),
        *([policy.formerly] if hasattr(policy, "formerly") else []),
    ]
    return [prefix + (older or name).upper() for prefix in prefixes]


def _parse(variable: str, value: str, kind: Any) -> Any:
    if kind is timedelta:
        return duration(variable, value)
    if kind is str:
        return value
    # Most commands are set by texts alone, and it takes a while to load.
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    many, adapter = get_origin(kind) is not None, TypeAdapter(kind)
    try:
        found = adapter.validate_json(value) if many else adapter.validate_python(value)
    except ValidationError as error:
        at = ".".join(map(str, error.errors()[0]["loc"]))
        why = f"{at}: {error.errors()[0]['msg']}" if at else error.errors()[0]["msg"]
        raise SettingInvalid(
            variable=variable, value=value, allowed=f"{why}; write JSON" if many else why
        ) from error
    if isinstance(found, float | int) and not abs(found) < _MAX:
        raise SettingInvalid(variable=variable, value=value, allowed="must be a number, and below 2147483648")
    return found


def settle_environment() -> None:
    """Settle the environment, once at a process's start: before Flower or the Procfile read their own.

    Out goes what Kubernetes puts there for a Service named as a part of ours (FLOWER_PORT=tcp://10.0.0.1:80),
    and a secret may be in a file that X_FILE names, as X; what changes there is read again. Raises
    SettingInvalid.
    """
    for variable, value in list(os.environ.items()):
        if variable.endswith("_PORT") and re.match(r"(tcp|udp|sctp)://", value):
            del os.environ[variable]
        elif variable.endswith("_FILE") and may_be_secret(variable) and variable.startswith(_PREFIXES):
            _take_from_file(variable.removesuffix("_FILE"), Path(value))


#: Whose secrets may be in files.
_PREFIXES = (
    "WEDOPS_",
    "CONNECTIONS_",
    "METRICS_",
    "ALERTS_",
    "NOTIFY_",
    "SUPABASE_",
    "REDIS_",
    "PGBOUNCER_",
    "FLOWER_",
    "KUBERNETES_",
    "ROLES_",
    "COMMANDS_",
    "API_",
)


#: Where a process tells its children which variables are from files: their values are not what somebody set.
#: No secret by its name, so that every role gets to know it.
FROM_FILES = "WEDOPS_FROM_FILES"
#: By variable, its file and what that was when it was read last.
_files: dict[str, tuple[Path, tuple[int, int]]] = {}
#: In seconds: how often files are looked at.
_LOOK_EVERY = 1.0
_looked_at = 0.0


def from_files() -> set[str]:
    """Return the variables whose values are from files."""
    return set(os.environ.get(FROM_FILES, "").split())


def refresh() -> None:
    """Read the files again that changed: a secret rotates while a process runs.

    A file that can't be read now leaves what was known.
    """
    global _looked_at  # noqa: PLW0603 - one clock a process
    if not _files:
        return
    if clock.stopwatch() - _looked_at < _LOOK_EVERY:
        return
    _looked_at = clock.stopwatch()
    for variable, (path, before) in list(_files.items()):
        with suppress(OSError, SettingInvalid):
            if _stamp(path) != before:
                _take_from_file(variable, path)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino


def _take_from_file(variable: str, path: Path) -> None:
    known = from_files()
    if os.environ.get(variable) and variable not in known:
        raise SettingInvalid(
            variable=f"{variable}_FILE", value="…", allowed=f"{variable} is set, too; keep one of them"
        )
    try:
        stamp, text = _stamp(path), path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise SettingInvalid(
            variable=f"{variable}_FILE", value="…", allowed=f"{why}; name a file to read"
        ) from None
    if not text:
        raise SettingInvalid(variable=f"{variable}_FILE", value="…", allowed="the file is empty")
    os.environ[variable] = text
    os.environ[FROM_FILES] = " ".join(sorted({*known, variable}))
    _files[variable] = path, stamp


def duration(variable: str, value: str) -> timedelta:
    """Return what 250ms, 30s, 5m, 2h or 7d says; raises SettingInvalid naming `variable`."""
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise SettingInvalid(
            variable=variable, value=value, allowed="write a duration as 250ms, 30s, 5m, 2h or 7d"
        )
    try:
        lasts = timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        lasts = timedelta.max
    if lasts > _LONGEST:
        raise SettingInvalid(variable=variable, value=value, allowed="that is longer than any wedding")
    return lasts


@dataclass(frozen=True)
class Servers:
    """Where the servers are; the defaults are those of docker-compose.yml.

    `broker_url` also holds the registry and must not evict; `cache_url` is sized by us and may. rediss://
    turns TLS on, redis://user:password@… logs in by ACL. `connections_url` gives connections and what
    gateways obey a server of their own, or with redis+cluster:// (rediss+cluster://) a Redis Cluster.
    """

    prefix: ClassVar = "WEDOPS_"
    also: ClassVar = {"broker_url": "REDIS_URL"}

    broker_url: str = "redis://127.0.0.1:6379/0"
    cache_url: str = "redis://127.0.0.1:6380/0"
    database_url: str = "postgresql://wedops@127.0.0.1:5432/wedops"
    connections_url: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no address, or one that two libraries would read differently."""
        for name, url in vars(self).items():
            if name == "database_url":
                problem = addresses.postgres_problem(url)
            else:
                cluster = name == "connections_url"
                problem = addresses.redis_problem(url, may_be_cluster=cluster) if url or not cluster else None
            if problem:
                raise ValueError(f"{name} {problem}")


def servers() -> Servers:
    """Return WEDOPS_BROKER_URL, WEDOPS_CACHE_URL, WEDOPS_DATABASE_URL and WEDOPS_CONNECTIONS_URL."""
    refresh()
    return _servers(
        *(_found(Servers, name)[1] for name in ("broker_url", "cache_url", "database_url", "connections_url"))
    )


@cache
def _servers(*_given: str | None) -> Servers:
    return read(Servers)
