"""Who is connected, and how well."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.connections.store import levels, registry, upkeep
from workers.connections.store import quality as qualities
from workers.foundation import database
from workers.weddings.rules.calendar import supplier_type
from workers.weddings.store import weddings


@dataclass(frozen=True)
class Presence:
    """Who of a wedding is online, and the mean quality of their connections, 0-100.

    None when it was not measured of late. `suppliers` are (online, all) by type, `unknown` where the calendar
    does not say.
    """

    online: upkeep.Online
    quality: float | None
    suppliers: Mapping[str, tuple[int, int]]


def presence(wedding_id: str) -> Presence:
    """Return who of a wedding is online. Raises WeddingUnknown."""
    with database.transaction() as db:
        wedding = weddings.require(db, wedding_id)
    online = upkeep.presence(wedding_id, wedding.supplier_ids)
    types = {one: supplier_type(wedding, one) or "unknown" for one in wedding.supplier_ids}
    here = Counter(types[one] for one in online.suppliers)
    suppliers = {kind: (here[kind], many) for kind, many in sorted(Counter(types.values()).items())}
    return Presence(online, qualities.of(wedding_id), suppliers)


def connections_of(tenant: str, user_id: str) -> list[dict[str, Any]]:
    """Return a person's connections, each with its service level (None before any was published)."""
    return [one | {"service": levels.level_of(one)} for one in registry.connections_of(tenant, user_id)]


def total() -> int:
    """Return how many connections are open."""
    return registry.total()
