"""Who may connect, when a connection counts as silent or abandoned, where its record lives. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from workers.weddings.rules.calendar import EVERYWHERE, OPERATIONS


def names_wedding(channel: str, wedding_id: str) -> bool:
    """Tell whether a channel belongs to a wedding.

    `kind:wedding` or `kind:wedding:…`, compared at its fixed place. What operators hear (`ops:alerts`)
    belongs to no wedding; their permits are for OPERATIONS.
    """
    kind, *ids = channel.split(":")
    return wedding_id == OPERATIONS if kind == OPERATIONS else ids[:1] == [wedding_id]


class UserType(StrEnum):
    """Who is connected, in the order of priority."""

    COUPLE = "couple"
    PLANNER = "planner"
    VENDOR = "vendor"
    GUEST = "guest"


@dataclass(frozen=True)
class Policy:
    """What admission and sweep obey.

    `idle_after` ends a connection, `silent_after` (two missed heartbeats of 25-30 s) counts it as unhealthy.
    A limit is on simultaneous connections: of a user, of a supplier without a plan of its own, of a pool (one
    node). Guests may fill `guests_share` of a pool and vendors `vendors_share`, in emergency mode guests
    `guests_share_emergency`; couples and planners all of it. Rates: `burst` attempts at once, then one each
    `every`; a venue's guests share one address. A score below `poor_below` (of 100) of a couple or a planner
    is alerted; of whom it is below `hopeless_below`, a minute after it was opened and later each time, the
    node is asked to close it: another one may be better. 0 closes none.
    """

    prefix: ClassVar = "CONNECTIONS_"

    shards: int = 64
    idle_after: timedelta = timedelta(minutes=5)
    silent_after: timedelta = timedelta(seconds=60)
    sweep_batch: int = 200
    user_limit: int = 5
    supplier_limit: int = 200
    pool_limit: int = 1000
    guests_share: float = 0.9
    vendors_share: float = 0.97
    guests_share_emergency: float = 0.5
    user_every: timedelta = timedelta(seconds=2)
    user_burst: int = 20
    supplier_every: timedelta = timedelta(milliseconds=10)
    supplier_burst: int = 500
    address_every: timedelta = timedelta(milliseconds=5)
    address_burst: int = 2000
    poor_below: int = 60
    hopeless_below: int = 20

    def __post_init__(self) -> None:
        """Refuse figures that would end live connections, stall the server or let nobody in."""
        if not 1 <= self.shards <= 16_384:
            raise ValueError("shards must be from 1 to 16384")
        if not timedelta(0) < self.silent_after <= self.idle_after:
            raise ValueError("silent_after must be above 0 and idle_after at most")
        if not 1 <= self.sweep_batch <= 2_000:
            raise ValueError("sweep_batch must be from 1 to 2000")
        for name in (
            "user_limit",
            "supplier_limit",
            "pool_limit",
            "user_burst",
            "supplier_burst",
            "address_burst",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        self._check_shares()

    def _check_shares(self) -> None:
        if not 0 <= self.hopeless_below <= self.poor_below <= 100:
            raise ValueError("hopeless_below must be from 0 to poor_below, and that 100 at most")
        if not 0 < self.guests_share_emergency <= self.guests_share <= self.vendors_share <= 1:
            raise ValueError(
                "shares must be above 0 and at most 1: guests_share_emergency, guests_share, vendors_share "
                "in that order"
            )
        if min(self.user_every, self.supplier_every, self.address_every) < timedelta(milliseconds=1):
            raise ValueError("user_every, supplier_every and address_every must be 1ms or more")


#: Kinds of channels (the text before the first colon) that each kind of supplier may subscribe to; who is in
#: none has them all.
PROFILES: dict[str, tuple[str, ...]] = {
    "photographer": ("wedding", "timeline", "photos", "shots", "venue", "person", "urgent"),
    "venue": ("wedding", "timeline", "guests", "floor", "catering", "weather", "person", "urgent"),
    "florist": ("wedding", "timeline", "venue", "deliveries", "person", "urgent"),
    "caterer": ("wedding", "timeline", "guests", "catering", "venue", "person", "urgent"),
    "planner": (
        "wedding",
        "timeline",
        "guests",
        "floor",
        "catering",
        "venue",
        "photos",
        "shots",
        "songs",
        "deliveries",
        "weather",
        "person",
        "urgent",
    ),
    "band": ("wedding", "timeline", "venue", "songs", "person", "urgent"),
}


def shares(policy: Policy, *, emergency: bool) -> dict[UserType, float]:
    """Return which share of a node's places each type of people may fill, from 0 to 1.

    In emergency mode guests give way.
    """
    guests = policy.guests_share_emergency if emergency else policy.guests_share
    return {
        UserType.COUPLE: 1.0,
        UserType.PLANNER: 1.0,
        UserType.VENDOR: policy.vendors_share,
        UserType.GUEST: guests,
    }


def routing_limits(policy: Policy, emergencies: Collection[str] = ()) -> dict[str, object]:
    """Return what says how many places of a node each type may fill.

    Guests give way where an emergency mode holds, by its scope. Admission and routing both read it
    (common.lua).
    """
    by_type = {
        str(kind): share for kind, share in shares(policy, emergency=EVERYWHERE in emergencies).items()
    }
    return {
        "pool": policy.pool_limit,
        "shares": by_type,
        "emergencies": {scope: True for scope in emergencies},
        "guests_emergency": policy.guests_share_emergency,
    }


def admission(policy: Policy, emergencies: Collection[str] = ()) -> dict[str, object]:
    """Return what admission reads in the registry, durations in ms; `emergencies` are scopes of modes."""
    return {
        **routing_limits(policy, emergencies),
        "user": policy.user_limit,
        "supplier": policy.supplier_limit,
        "healthy_ms": _ms(policy.silent_after),
        "poor_below": policy.poor_below,
        "hopeless_below": policy.hopeless_below,
        "user_every": _ms(policy.user_every),
        "user_burst": policy.user_burst,
        "supplier_every": _ms(policy.supplier_every),
        "supplier_burst": policy.supplier_burst,
        "address_every": _ms(policy.address_every),
        "address_burst": policy.address_burst,
    }


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
