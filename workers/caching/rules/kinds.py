"""What is cached, what names it, and how long it may live. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from workers.connections.rules.admission import UserType
from workers.weddings.rules.calendar import ID

#: The ids that name an entry of its kind.
Ids = tuple[str, ...]


class Kind(StrEnum):
    """What is cached; each with its own time to live.

    `subscription` (wedding, user type, and a vendor's supplier): what somebody of that role may join.
    `user` (supplier): the weddings it works at. `wedding` (wedding): its facts. `connection` (wedding, user):
    what a person's last connection had joined; gateways write it.
    """

    SUBSCRIPTION = "subscription"
    USER = "user"
    WEDDING = "wedding"
    CONNECTION = "connection"


#: What each body must have, and how many ids name it at least and at most.
FIELDS: dict[str, frozenset[str]] = {
    Kind.SUBSCRIPTION: frozenset({"channels", "user_type"}),
    Kind.USER: frozenset({"weddings"}),
    Kind.WEDDING: frozenset({"starts_at", "ends_at", "region", "timeline"}),
    Kind.CONNECTION: frozenset({"channels"}),
}
NAMED_BY: dict[str, tuple[int, int]] = {
    Kind.SUBSCRIPTION: (2, 3),
    Kind.USER: (1, 1),
    Kind.WEDDING: (1, 1),
    Kind.CONNECTION: (2, 2),
}
#: The form of each kind's body; raised when it changes, so that no process reads another's by mistake.
SCHEMAS: dict[str, int] = dict.fromkeys(Kind, 1)
#: For how long a person's channels are kept after a gateway wrote them; `functions.lua` has it as well.
CONNECTION_TTL = timedelta(minutes=30)
_USER_TYPES = frozenset(UserType)
#: Kinds whose first id is a wedding.
OF_A_WEDDING = frozenset({Kind.SUBSCRIPTION, Kind.WEDDING, Kind.CONNECTION})


@dataclass(frozen=True)
class Policy:
    """Times to live by kind, and how many entries a process holds, ordinarily and in peak mode.

    `load_within` is how long a load may take (the hard time-out), `soft_timeout` how long who has an older
    copy waits for it. That copy is kept `fail_safe_for` beyond its time. What does not exist is remembered
    for `absent_ttl`. Times to live vary by up to `jitter` (a share), and loads begin early by `early`
    (XFetch's beta). `compress_above` bytes a body is compressed in peak mode. A warm-up loads `warm_batch`
    weddings, pauses for `warm_pause`, does not make them live for longer than `warm_ttl_max`, and stops while
    users' reads have `warm_yield` loads a second; how much of the reads of the first `watch_first` hits, is
    its recall. So many entries are compared with the source at once: `compare`. `bypass` has every read ask
    the source.
    """

    prefix: ClassVar = "CACHING_"

    subscription_ttl: timedelta = timedelta(seconds=300)
    user_ttl: timedelta = timedelta(seconds=600)
    wedding_ttl: timedelta = timedelta(seconds=120)
    absent_ttl: timedelta = timedelta(seconds=30)
    local_entries: int = 500
    local_entries_peak: int = 1000
    load_within: timedelta = timedelta(seconds=2)
    soft_timeout: timedelta = timedelta(milliseconds=100)
    fail_safe_for: timedelta = timedelta(minutes=10)
    jitter: float = 0.1
    early: float = 1.0
    compress_above: int = 1024
    warm_batch: int = 10
    warm_pause: timedelta = timedelta(milliseconds=100)
    warm_ttl_max: timedelta = timedelta(hours=12)
    warm_yield: int = 50
    watch_first: timedelta = timedelta(minutes=10)
    compare: int = 100
    bypass: bool = False

    def __post_init__(self) -> None:
        """Refuse what no cache can work with."""
        if not 0 <= self.jitter < 1:
            raise ValueError("jitter must be from 0 to below 1")
        if self.early < 0:
            raise ValueError("early must be 0 (never early) or more")
        for name in ("local_entries", "local_entries_peak", "warm_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        for name in ("subscription_ttl", "user_ttl", "wedding_ttl", "absent_ttl", "load_within"):
            if getattr(self, name) < timedelta(milliseconds=1):
                raise ValueError(f"{name} must be 1ms or more")

    def ttl(self, kind: Kind) -> timedelta:
        """Return how long an entry of `kind` may live."""
        found: timedelta = CONNECTION_TTL if kind is Kind.CONNECTION else getattr(self, f"{kind}_ttl")
        return found


def problem(kind: str, ids: Ids) -> str | None:
    """Return what is wrong with the name of an entry; None when it is one."""
    if kind not in NAMED_BY:
        return f"kind={kind!r} must be one of {', '.join(Kind)}"
    fewest, most = NAMED_BY[kind]
    if not fewest <= len(ids) <= most:
        return (
            f"{kind} is named by {' or '.join(dict.fromkeys(map(str, (fewest, most))))} ids, not {len(ids)}"
        )
    if not all(isinstance(one, str) and ID.fullmatch(one) for one in ids):
        return (
            "ids must be 1-128 letters, digits, dots, at signs, dashes, underscores, a letter or digit first"
        )
    if kind == Kind.SUBSCRIPTION and ids[1] not in _USER_TYPES:
        return f"the second id of a subscription must be one of {', '.join(UserType)}"
    return None
