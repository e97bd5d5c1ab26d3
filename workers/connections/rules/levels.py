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
    Channels of the kinds in `prompt` wait for nothing, whatever else is gathered or slowed down.
    """

    bandwidth_share: int
    heartbeat_seconds: int
    compression: bool
    batch_ms: int
    prompt: tuple[str, ...] = PROMPT


_CALM = {
    UserType.COUPLE: ServiceLevel(8, 10, False, 0),
    UserType.PLANNER: ServiceLevel(8, 10, False, 0),
    UserType.VENDOR: ServiceLevel(4, 15, False, 0),
    UserType.GUEST: ServiceLevel(2, 20, False, 50),
}
#: What guests get while many are here, and while somebody needs the network more than they do.
_BUSY, _EMERGENCY = ServiceLevel(1, 25, True, 250), ServiceLevel(1, 30, True, 1000)


def service_level(
    user_type: UserType, *, mobile: bool, phase: Phase, busy: bool, emergency: bool
) -> ServiceLevel:
    """Return what one class gets.

    Guests wait first, then vendors outside a running wedding; couples and planners never do.
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
    return replace(level, compression=mobile or level.batch_ms >= 250)


#: What follows the phase of a wedding at which guests give way.
IN_EMERGENCY = "+emergency"


def name(user_type: str, device: str | None, phase: str) -> str:
    """Return the name of a class; a device that is not known counts as fixed.

    The phase is as it is published: with IN_EMERGENCY where guests give way.
    """
    return f"{user_type}|{'mobile' if device == 'mobile' else 'fixed'}|{phase}"


def service_levels(*, busy: bool, emergency: bool = False) -> Mapping[str, dict[str, object]]:
    """Return the level of every class, named `user_type|device|phase`, and in an emergency of its wedding."""
    return {
        name(user_type, device, phase + suffix): asdict(
            service_level(
                user_type,
                mobile=device == "mobile",
                phase=phase,
                busy=busy,
                emergency=emergency or bool(suffix),
            )
        )
        for user_type, device, phase, suffix in product(UserType, DEVICES, Phase, ("", IN_EMERGENCY))
    }
