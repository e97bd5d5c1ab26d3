"""Backup connections: who may have one, and whose answers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workers.connections import keys
from workers.connections.store.registry import policy
from workers.connections.store.upkeep import batched_by
from workers.foundation import redis

#: Users of a tenant that one call reads, about.
PAGE = 500


#: For so long who may have one may, in seconds: it is said again each few minutes.
ALLOWED = 900


def allow(suppliers: Iterable[str]) -> None:
    """Let suppliers have backup connections for a while."""
    with redis.connections().pipeline(transaction=False) as pipe:
        for supplier in suppliers:
            pipe.set(keys.critical(supplier, policy().shards), 1, ex=ALLOWED)
        pipe.execute()


def is_allowed(supplier_id: str) -> bool:
    """Tell whether a supplier may have backup connections now."""
    return bool(redis.connections().exists(keys.critical(supplier_id, policy().shards)))


def seen(tenants: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[str, int, int]]]:
    """Return (user type, connections, backups that answer) of each user of weddings in the given tenants.

    Guests are left out. A round trip reads a page of every tenant.
    """
    found: dict[str, list[tuple[str, int, int]]] = {wedding: [] for wedding in tenants}
    left = [(wedding, one, "0") for wedding, own in tenants.items() for one in own]
    while left:
        pages = _pages(left)
        for (wedding, _, _), (_, flat) in zip(left, pages, strict=True):
            found[wedding] += [(kind, open_, backed) for kind, open_, backed in batched_by(flat, 3)]
        left = [
            (wedding, tenant, cursor)
            for (wedding, tenant, _), (cursor, _) in zip(left, pages, strict=True)
            if cursor != "0"
        ]
    return found


def _pages(asked: Sequence[tuple[str, str, str]]) -> list[tuple[str, list[Any]]]:
    with redis.connections().pipeline(transaction=False) as pipe:
        for wedding, tenant, cursor in asked:
            shard = keys.shard(tenant, policy().shards)
            pipe.fcall("wedops_backups", 1, shard, tenant, wedding, cursor, PAGE)
        return list(pipe.execute())
