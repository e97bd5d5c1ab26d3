"""Reading what is cached: from memory, from the cache's server, else from the calendar."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from workers.caching.rules.kinds import Ids, Kind
from workers.caching.store.layers import layers
from workers.caching.store.local import Copy
from workers.caching.usecases import sources
from workers.connections.formats.permits import Permit
from workers.connections.rules.admission import UserType
from workers.foundation.errors import ExpectedError
from workers.weddings.store.weddings import WeddingUnknown


@dataclass(frozen=True)
class Joining:
    """What somebody needs who joins a wedding.

    `subscription` is what they may join, None for who is none of its people; `user` are a vendor's weddings.
    `stale` says that a part is an older copy: its source was unavailable.
    """

    wedding: dict[str, Any]
    subscription: dict[str, Any] | None
    user: dict[str, Any] | None
    revision: int
    stale: bool


class PermitForNoWedding(ExpectedError):
    """the permit names no wedding_id; issue one for the wedding that is joined (`wedops permit issue`)"""

    http_status = 422


def read(kind: Kind, *ids: str) -> Copy:
    """Return an entry; its value is None where there is no such thing. Raises EntryRefused, LoadTimedOut."""
    return layers().get(kind, ids, partial(sources.load, kind, ids))


def wedding(wedding_id: str) -> Copy:
    """Return a wedding as all of its people may see it. Raises EntryRefused, LoadTimedOut, WeddingUnknown."""
    found = read(Kind.WEDDING, wedding_id)
    if found.value is None:
        raise WeddingUnknown(wedding_id=wedding_id)
    return found


def joining(permit: Permit) -> Joining:
    """Return what a permit's holder needs on joining. Raises PermitForNoWedding, and as `wedding` does."""
    if not permit.wedding_id:
        raise PermitForNoWedding
    facts = wedding(permit.wedding_id)
    own = read(Kind.SUBSCRIPTION, *role(permit))
    theirs = read(Kind.USER, permit.supplier_id) if permit.supplier_id else None
    parts = [facts, own, *([theirs] if theirs else [])]
    return Joining(
        facts.value,
        own.value,
        theirs.value if theirs else None,
        facts.revision,
        stale=any(one.stale for one in parts),
    )


def role(permit: Permit) -> Ids:
    """Return as whom a permit's holder subscribes."""
    of = permit.wedding_id or "", permit.user_type
    return (*of, permit.supplier_id) if permit.user_type == UserType.VENDOR and permit.supplier_id else of
