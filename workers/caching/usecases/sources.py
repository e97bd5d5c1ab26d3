"""What is cached, as its source has it: the calendar."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from workers.caching.rules.kinds import Ids, Kind
from workers.caching.store.entries import Loaded
from workers.caching.store.local import Key
from workers.connections.rules import channels
from workers.connections.rules.admission import UserType
from workers.foundation import clock, database, settings
from workers.foundation.claims import EVERYTHING, claiming
from workers.foundation.moments import Moment
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import versions, weddings

#: A supplier is told of its weddings from so long ago until so far ahead.
AGO, AHEAD = timedelta(days=1), timedelta(days=2)


def load(kind: Kind, ids: Ids) -> Loaded:
    """Return an entry as the calendar has it now."""
    key = (str(kind), ids)
    # What is loaded is for all who may ask for it, and each of them is checked by their permit.
    with claiming(EVERYTHING), database.transaction() as db:
        return load_all(db, [key], now=clock.now())[key]


def load_all(db: Connection, wanted: Iterable[Key], *, now: Moment) -> dict[Key, Loaded]:
    """Return entries as the calendar has them now, in three statements, however many."""
    names = list(wanted)
    # Read first: what is read after it is as new, or newer.
    version = weddings.version_of(db)
    of_weddings = {ids[0] for kind, ids in names if kind in (Kind.WEDDING, Kind.SUBSCRIPTION)}
    found = versions.with_versions(db, of_weddings) if of_weddings else {}
    suppliers = {ids[0] for kind, ids in names if kind == Kind.USER}
    duties = _duties(db, suppliers, now)
    return {(kind, ids): _loaded(kind, ids, found, duties, version) for kind, ids in names}


def _loaded(
    kind: str,
    ids: Ids,
    found: Mapping[str, tuple[Wedding, int]],
    duties: Mapping[str, list[dict[str, Any]]],
    version: int,
) -> Loaded:
    if kind == Kind.USER:
        return Loaded({"supplier_id": ids[0], "weddings": duties.get(ids[0], [])}, version)
    if kind == Kind.CONNECTION or ids[0] not in found:
        return Loaded(None, version)
    wedding, own = found[ids[0]]
    body = _facts(wedding) if kind == Kind.WEDDING else _subscription(wedding, *ids[1:])
    return Loaded(body, own)


def _facts(wedding: Wedding) -> dict[str, Any]:
    """Return what everybody at a wedding may know of it."""
    return {
        **_moments(wedding),
        "wedding_id": wedding.id,
        "zone": wedding.zone,
        "region": wedding.region,
        "status": wedding.status,
        "venue_type": wedding.venue_type,
        "guest_count": wedding.guest_count,
        "supplier_ids": list(wedding.supplier_ids),
        "timeline": wedding.timeline,
    }


def _moments(wedding: Wedding) -> dict[str, Any]:
    """Return when a wedding is, and, in epoch seconds, when nobody will ask for it any more."""
    over = wedding.ends_at + settings.read(calendar.Policy).wind_down_lasts
    starts, ends = wedding.starts_at.isoformat(), wedding.ends_at.isoformat()
    return {"starts_at": starts, "ends_at": ends, "over": over.timestamp()}


def _subscription(wedding: Wedding, user_type: str, supplier_id: str = "") -> dict[str, Any] | None:
    """Return what somebody of a role may join; None for a vendor who does not work there."""
    if user_type == UserType.VENDOR and supplier_id not in wedding.supplier_ids:
        return None
    kind = calendar.supplier_type(wedding, supplier_id)
    if user_type in (UserType.COUPLE, UserType.PLANNER):
        types = {calendar.supplier_type(wedding, one) for one in wedding.supplier_ids} - {""}
        own = [channels.wedding(wedding.id), *(channels.of_type(wedding.id, one) for one in sorted(types))]
    elif user_type == UserType.VENDOR:
        own = channels.of_supplier(wedding, supplier_id)
    else:
        own = [channels.wedding(wedding.id)]
    return {**_moments(wedding), "user_type": user_type, "supplier_type": kind, "channels": own}


def _duties(db: Connection, suppliers: Iterable[str], now: Moment) -> dict[str, list[dict[str, Any]]]:
    """Return at which weddings of these days suppliers work."""
    wanted, found = set(suppliers), dict[str, list[dict[str, Any]]]()
    near = versions.of_suppliers(db, wanted, now - AGO, now + AHEAD) if wanted else []
    for wedding in near:
        for supplier_id in wanted.intersection(wedding.supplier_ids):
            duty = wedding.duties.get(supplier_id, {})
            facts = {name: duty[name] for name in ("type", "until") if name in duty}
            own: dict[str, Any] = {"wedding_id": wedding.id, "zone": wedding.zone}
            found.setdefault(supplier_id, []).append(own | _moments(wedding) | facts)
    return found


def names_of(wedding: Wedding, suppliers: Iterable[str]) -> list[Key]:
    """Return all entries that a wedding is in, if these are its suppliers."""
    return [entry for own in classes_of(wedding, suppliers).values() for entry in own]


def classes_of(wedding: Wedding, suppliers: Iterable[str]) -> dict[str, list[Key]]:
    """Return the entries that a wedding is in by who asks for them: what is learned, is of these classes."""
    vendors = sorted(set(suppliers))
    id = wedding.id
    roles = [str(one) for one in UserType if one is not UserType.VENDOR]
    found: dict[str, list[Key]] = {"wedding": [(Kind.WEDDING, (id,))]}
    found |= {f"subscription/{one}": [(Kind.SUBSCRIPTION, (id, one))] for one in roles}
    found["subscription/vendor"] = [(Kind.SUBSCRIPTION, (id, "vendor", one)) for one in vendors]
    found["user"] = [(Kind.USER, (one,)) for one in vendors]
    return found
