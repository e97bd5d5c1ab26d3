"""Warming up weddings: what their people will ask for first."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from workers.caching import store
from workers.caching.formats import WarmUp
from workers.caching.rules import Kind, Structure
from workers.caching.store import Entry, layers
from workers.connections.rules import channels
from workers.foundation.moments import Moment
from workers.weddings.rules import Wedding
from workers.weddings.store import weddings


def warm_up(db: Connection, command: WarmUp, key: str, *, now: Moment) -> None:
    """Have a wedding's data in the cache before its people come, and remember that. Raises WeddingUnknown."""
    warm_up_all(db, {key: weddings.require(db, command.wedding_id)}, now=now)


def warm_up_all(db: Connection, by_key: Mapping[str, Wedding], *, now: Moment) -> None:
    """Have weddings' data in the cache, and remember that: the same key is remembered once."""
    entries = {key: _entries(wedding) for key, wedding in by_key.items()}
    layers().put_all([entry for own in entries.values() for entry in own])
    done = (
        store.Result(f"warm_up/{key}", "warm_up", wedding.id, {"entries": len(entries[key])})
        for key, wedding in by_key.items()
    )
    store.record(db, done, at=now)


def _entries(wedding: Wedding) -> list[Entry]:
    """Return the wedding and the subscriptions of its suppliers, as they are cached."""
    facts = {
        "starts_at": wedding.starts_at.isoformat(),
        "ends_at": wedding.ends_at.isoformat(),
        "zone": wedding.zone,
        "region": wedding.region,
        "guest_count": wedding.guest_count,
        "supplier_ids": list(wedding.supplier_ids),
        "timeline": wedding.timeline,
    }
    subscriptions = (
        Entry(Kind.SUBSCRIPTION, (wedding.id, supplier), channels.of_supplier(wedding, supplier))
        for supplier in wedding.supplier_ids
    )
    return [Entry(Kind.WEDDING, wedding.id, facts), *subscriptions]


def forget(wedding_ids: Sequence[str]) -> None:
    """Drop what is cached of weddings, in every process."""
    layers().invalidate_all(Kind.WEDDING, wedding_ids)


def expire() -> int:
    """Have every process drop its expired local copies; return how many processes heard it."""
    return store.expire()


def structure() -> Structure:
    """Return the cache server's structure: sizes, hits, evictions, entries that would never expire."""
    return store.structure()
