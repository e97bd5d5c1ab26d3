"""Roles: as whom each process logs in, and which secrets it gets to see."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar


class Role(StrEnum):
    """As whom somebody logs in.

    The owner migrates and grants; an operator is a person with `wedops` or Flower; a gateway, a reader of
    what is known, an exporter of a server's own figures and KEDA are outside of the system.
    """

    OWNER = "owner"
    OPERATOR = "operator"
    WORKER = "worker"
    BEAT = "beat"
    API = "api"
    GATEWAY = "gateway"
    READER = "reader"
    EXPORTER = "exporter"
    KEDA = "keda"


#: By the beginning of a process's name in a Procfile. The demo's people and days play the platform, which
#: knows the calendar and issues permits.
PROCESSES = {
    "beat": Role.BEAT,
    "worker": Role.WORKER,
    "watch": Role.WORKER,
    "ingest": Role.WORKER,
    "deliver": Role.WORKER,
    "urgent": Role.WORKER,
    "api": Role.API,
    "flower": Role.OPERATOR,
    "gateway": Role.GATEWAY,
    "people": Role.OPERATOR,
    "days": Role.OPERATOR,
}

_INSIDE = frozenset({Role.OPERATOR, Role.WORKER})
#: By the beginning of a variable that holds a secret, who gets it. What looks like one and stands nowhere
#: here is for who works inside alone.
SECRETS: Mapping[str, frozenset[Role]] = {
    "WEDOPS_BROKER_URL": _INSIDE | {Role.BEAT, Role.API, Role.GATEWAY, Role.READER},
    "WEDOPS_CONNECTIONS_URL": _INSIDE | {Role.BEAT, Role.API, Role.GATEWAY, Role.READER},
    "WEDOPS_CACHE_URL": _INSIDE | {Role.API, Role.GATEWAY},
    "WEDOPS_DATABASE_URL": _INSIDE | {Role.API, Role.READER},
    "WEDOPS_PERMIT": frozenset({Role.OPERATOR}),
    # A worker issues permits for its own probes.
    "CONNECTIONS_PERMIT_KEYS": _INSIDE | {Role.API, Role.GATEWAY},
    "COMMANDS_KEYS": _INSIDE | {Role.BEAT, Role.API},
    "METRICS_INGEST_TOKENS": frozenset({Role.API}),
    # Where the demo's gateway pushes what it measures.
    "METRICS_INGEST_URL": frozenset({Role.GATEWAY, Role.OPERATOR}),
    # They name files.
    "API_TLS_CERTIFICATE": frozenset(Role),
    "WEDOPS_HEARTBEAT_FILE": frozenset(Role),
    "API_READ_TOKENS": frozenset({Role.API}),
    "API_TLS_KEY": frozenset({Role.API}),
    "FLOWER_KEYFILE": frozenset({Role.OPERATOR}),
    "GATEWAY_TLS_KEY": frozenset({Role.GATEWAY}),
    "SUPABASE_PUSH_LOGIN": frozenset({Role.API}),
    "FLOWER_BASIC_AUTH": frozenset({Role.OPERATOR}),
    "FLOWER_METRICS_TOKEN": frozenset({Role.OPERATOR}),
    "FLOWER_COOKIE_SECRET": frozenset({Role.OPERATOR}),
    "ROLES_": frozenset({Role.OWNER}),
}

#: What stands in an address as it is.
_SECRET = re.compile(r"[A-Za-z0-9_.~-]{16,128}")
_NAME = re.compile(r"[a-z0-9]{1,16}")


def of_process(name: str) -> Role | None:
    """Return the role of a process of a Procfile; None for one that is not known."""
    return next((role for begins, role in PROCESSES.items() if name.startswith(begins)), None)


def may_have(role: Role | None, variable: str, *, may_be_secret: bool) -> bool:
    """Tell whether a role may see a variable of the environment: what is no secret, everybody may.

    None is a process that we don't know; `may_be_secret` goes by the variable's name.
    """
    lists = [may for begins, may in SECRETS.items() if variable.startswith(begins)]
    if not lists:
        return not may_be_secret or role in _INSIDE
    return all(role in may for may in lists)


@dataclass(frozen=True)
class Logins:
    """The secrets of each role, `name:secret`, or `new:secret,old:secret` while they rotate: both are let in.

    A role without one has no login: who needs none gets none. Secrets are 16-128 letters, digits and any of
    `_.~-`; names are up to 16 small letters and digits.
    """

    prefix: ClassVar = "ROLES_"

    owner: str = ""
    operator: str = ""
    worker: str = ""
    beat: str = ""
    api: str = ""
    gateway: str = ""
    reader: str = ""
    exporter: str = ""
    keda: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no list of names and secrets."""
        for field in fields(self):
            pairs = list(_pairs(getattr(self, field.name)))
            if not all(_NAME.fullmatch(name) and _SECRET.fullmatch(secret) for name, secret in pairs):
                raise ValueError(
                    f"{field.name} must be name:secret, or new:secret,old:secret; a name has 1-16 small "
                    "letters and digits, a secret 16-128 letters, digits and any of _.~-"
                )
            if len({name for name, _ in pairs}) < len(pairs):
                raise ValueError(f"{field.name} has a name twice; a new secret gets a new name")

    def of(self, role: Role) -> dict[str, str]:
        """Return a role's secrets by name, the newest first."""
        return dict(_pairs(getattr(self, role)))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for pair in filter(None, (one.strip() for one in text.split(","))):
        name, _, secret = pair.partition(":")
        yield name, secret
