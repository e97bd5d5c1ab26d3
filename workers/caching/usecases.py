"""Warming up a wedding: what its people will ask for first."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from workers.caching import store
from workers.caching.formats import WarmUp
from workers.caching.rules import Kind, Structure
from workers.caching.store import layers
from workers.foundation.moments import Moment
from workers.weddings.rules import Wedding
from workers.weddings.store import weddings


def warm_up(db: Connection, command: WarmUp, key: str, *, now: Moment) -> None:
    """Have a wedding's data in the cache before its people come, and remember that. Raises WeddingUnknown."""
    loaded = load(weddings.require(db, command.wedding_id))
    store.record(
        db, key=f"warm_up/{key}", kind="warm_up", wedding_id=command.wedding_id, detail=loaded, at=now
    )


def load(wedding: Wedding) -> dict[str, Any]:
    """Have the wedding and the subscriptions of its suppliers in the cache; return what was loaded."""
    cache = layers()
    facts = {
        "starts_at": wedding.starts_at.isoformat(),
        "ends_at": wedding.ends_at.isoformat(),
        "zone": wedding.zone,
        "region": wedding.region,
        "guest_count": wedding.guest_count,
        "supplier_ids": list(wedding.supplier_ids),
        "timeline": wedding.timeline,
    }
    cache.put(Kind.WEDDING, wedding.id, facts)
    for supplier in wedding.supplier_ids:
        channels = [f"wedding:{wedding.id}", f"wedding:{wedding.id}:{supplier}"]
        cache.put(Kind.SUBSCRIPTION, (wedding.id, supplier), channels)
    return {"entries": 1 + len(wedding.supplier_ids)}


def forget(wedding_ids: Iterable[str]) -> None:
    """Drop what is cached of weddings, in every process."""
    for wedding_id in wedding_ids:
        layers().invalidate(Kind.WEDDING, wedding_id)


def expire() -> int:
    """Have every process drop its expired local copies; return how many processes heard it."""
    return store.expire()


def structure() -> Structure:
    """Return the cache server's structure: sizes, hits, evictions, entries that would never expire."""
    return store.structure()
