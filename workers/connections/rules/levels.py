"""Service levels: what a class of users gets of the network. Pure.

A class is a user type, a device and the phase of the wedding.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product

from workers.connections.rules.admission import UserType
from workers.weddings.rules.calendar import Phase

DEVICES = ("fixed", "mobile")
#: What touches guests never delays these.
PROMPT = ("timeline",)
#: While these run, what a vendor hears decides what happens in the next minute.
RUNNING = (Phase.CEREMONY, Phase.RECEPTION)


@dataclass(frozen=True)
class ServiceLevel:
    """What a class gets.

    `bandwidth_share` is a weight among the people of a node, `heartbeat_seconds` the time between heartbeats,
    `batch_ms` for how long messages may be gathered; `compression` costs processor and saves bandwidth.
    Channels of the kinds in `prompt` wait for nothing, whatever else is gathered or slowed down. With
    `other_network` a backup connection goes by another network than the first one: mobile data beside the
    venue's.
    """

    bandwidth_share: int
    heartbeat_seconds: int
    compression: bool
    batch_ms: int
    prompt: tuple[str, ...] = PROMPT
    other_network: bool = False


_CALM = {
    UserType.COUPLE: ServiceLevel(8, 10, False, 0),
    UserType.PLANNER: ServiceLevel(8, 10, False, 0),
    UserType.VENDOR: ServiceLevel(4, 15, False, 0),
    UserType.GUEST: ServiceLevel(2, 20, False, 50),
}
#: What guests get while many are here, and while somebody needs the network more than they do.
_BUSY, _EMERGENCY = ServiceLevel(1, 25, True, 250), ServiceLevel(1, 30, True, 1000)


def service_level(
    user_type: UserType, *, mobile: bool, phase: Phase, busy: bool, emergency: bool, weak: bool = False
) -> ServiceLevel:
    """Return what one class gets.

    Guests wait first, then vendors outside a running wedding; couples and planners never do. Where a venue's
    network is `weak`, all is compressed, guests' messages are gathered more, and a dead connection of the
    others is noticed sooner.
    """
    level = _CALM[user_type]
    if user_type is UserType.VENDOR and phase in RUNNING:
        level = replace(level, bandwidth_share=8)
    elif user_type is UserType.VENDOR and (busy or emergency):
        level = replace(level, batch_ms=50)
    elif user_type is UserType.GUEST:
        level = _EMERGENCY if emergency else _BUSY if busy else level
        # A phone that is woken less lasts the evening; nobody critical waits longer for it.
        level = replace(level, heartbeat_seconds=level.heartbeat_seconds + 5 * mobile)
    level = replace(level, compression=mobile or level.batch_ms >= 250)
    return _on_weak_network(level, user_type) if weak else level


def _on_weak_network(level: ServiceLevel, user_type: UserType) -> ServiceLevel:
    if user_type is UserType.GUEST:
        return replace(level, compression=True, batch_ms=max(level.batch_ms, 250))
    sooner = level.heartbeat_seconds * 2 // 3
    return replace(level, compression=True, heartbeat_seconds=sooner, other_network=True)


#: What follows the phase of a wedding at a venue whose network is weak, and of one at which guests give way.
WEAK, IN_EMERGENCY = "+weak", "+emergency"


def name(user_type: str, device: str | None, phase: str) -> str:
    """Return the name of a class; a device that is not known counts as fixed.

    The phase is as it is published: with WEAK at a venue whose network is, IN_EMERGENCY where guests give
    way.
    """
    return f"{user_type}|{'mobile' if device == 'mobile' else 'fixed'}|{phase}"


def service_levels(*, busy: bool, emergency: bool = False) -> Mapping[str, dict[str, object]]:
    """Return the level of every class, named `user_type|device|phase`, by network and emergency."""
    return {
        name(user_type, device, phase + network + suffix): asdict(
            service_level(
                user_type,
                mobile=device == "mobile",
                phase=phase,
                busy=busy,
                emergency=emergency or bool(suffix),
                weak=bool(network),
            )
        )
        for user_type, device, phase, network, suffix in product(
            UserType, DEVICES, Phase, ("", WEAK), ("", IN_EMERGENCY)
        )
    }
