"""Who is connected, and how well."""

from dataclasses import dataclass
from typing import Any

from workers.connections.store import levels, registry, upkeep
from workers.connections.store import quality as qualities
from workers.foundation import database
from workers.weddings.store import weddings


@dataclass(frozen=True)
class Presence:
    """Who of a wedding is online, and the mean quality of their connections, 0-100.

    None when it was not measured of late.
    """

    online: upkeep.Online
    quality: float | None


def presence(wedding_id: str) -> Presence:
    """Return who of a wedding is online. Raises WeddingUnknown."""
    with database.transaction() as db:
        wedding = weddings.require(db, wedding_id)
    return Presence(upkeep.presence(wedding_id, wedding.supplier_ids), qualities.of(wedding_id))


def connections_of(tenant: str, user_id: str) -> list[dict[str, Any]]:
    """Return a person's connections, each with its service level (None before any was published)."""
    return [one | {"service": levels.level_of(one)} for one in registry.connections_of(tenant, user_id)]


def total() -> int:
    """Return how many connections are open."""
    return registry.total()
