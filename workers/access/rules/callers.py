"""Who calls the API: what a caller may do there, and of whom. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from workers.foundation.moments import MachineMoment

#: What a caller may be let do, and what that is.
SCOPES: Mapping[str, str] = {
    "weddings:read": "look at weddings, their timelines, days and readiness",
    "weddings:write": "change the calendar, timelines and modes",
    "warm_ups:write": "have a wedding's data loaded ahead",
    "emergencies:read": "look at emergencies",
    "emergencies:write": "open, work on and close emergencies",
    "messages:read": "look at urgent messages and who has them",
    "messages:write": "send urgent messages",
    "connections:read": "look at who is connected",
    "alerts:read": "look at alerts and what was done about them",
    "scaling:read": "look at actions, orders, forecasts and seasons",
    "system:read": "look at jobs, queues and the gate",
    "requests:read": "look at what became of requests",
}
#: What stands for all of them that only look.
ALL_READ = "*:read"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
NAME_REMEDY = "1-64 small letters, digits, dots, dashes, underscores, a letter or digit first"
#: A key's beginning, by which scanners for leaked secrets know it.
PREFIX = "wedops"
#: As whose key a token of the issuer is written down; no caller of ours has that name.
ISSUER = "issuer"
LASTS_MAX = timedelta(days=398)


@dataclass(frozen=True)
class Caller:
    """Who calls.

    `key` is the id of the key, or the issuer's name for the token. A caller with suppliers or weddings is
    shown those alone.
    """

    name: str
    key: str
    scopes: frozenset[str]
    supplier_ids: tuple[str, ...] = ()
    wedding_ids: tuple[str, ...] = ()

    @property
    def is_bounded(self) -> bool:
        """Tell whether the caller is shown some weddings only."""
        return bool(self.supplier_ids or self.wedding_ids)


@dataclass(frozen=True)
class Key:
    """A key as it is kept: its secret only as a digest."""

    id: str
    caller: str
    digest: str
    scopes: tuple[str, ...]
    supplier_ids: tuple[str, ...]
    wedding_ids: tuple[str, ...]
    made_at: datetime
    made_by: str
    expires_at: datetime
    revoked_at: datetime | None = None
    used_at: datetime | None = None

    def problem(self, *, now: MachineMoment) -> str:
        """Return why it is good no longer; empty while it is."""
        if self.revoked_at is not None:
            return "is revoked"
        return "has expired" if self.expires_at <= now else ""


def scopes(asked: Iterable[str]) -> tuple[str, ...]:
    """Return scopes in order, each once; raises ValueError naming one that is none."""
    found: set[str] = set()
    for one in asked:
        if one == ALL_READ:
            found.update(scope for scope in SCOPES if scope.endswith(":read"))
        elif one in SCOPES:
            found.add(one)
        else:
            raise ValueError(f"there is no scope {one[:40]!r}; there are {', '.join((ALL_READ, *SCOPES))}")
    return tuple(sorted(found))


def token(id: str, secret: str) -> str:
    """Return a key as its caller sends it."""
    return f"{PREFIX}_{id}_{secret}"


def parts(token: str) -> tuple[str, str] | None:
    """Return id and secret of a key; None for what is none."""
    match = re.fullmatch(rf"{PREFIX}_([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})", token)
    return (match[1], match[2]) if match else None
