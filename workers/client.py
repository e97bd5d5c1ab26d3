"""The Python client for other services.

    from workers import client

    client.warm_up("w-17", request_key="planner/w-17/1")
    client.open_emergency("weather", "w-17", request_key="storm/w-17")

It needs WEDOPS_DATABASE_URL and WEDOPS_BROKER_URL. When a call returns, the request has a row and will be done,
whatever fails after that; a call with a known key changes nothing. Errors derive from `client.Refused` and name the
field and its remedy.
"""

from workers.foundation import database
from workers.foundation.errors import Anticipated as Refused
from workers.requests import actions, store
from workers.requests.store import Request

__all__ = ["Refused", "Request", "find", "open_emergency", "warm_up"]


def warm_up(wedding_id: str, *, request_key: str | None = None) -> Request:
    """Have the wedding's data in the cache before its people come."""
    return actions.accept("caching.warm_up", {"wedding_id": wedding_id, "request_key": request_key})


def open_emergency(kind: str, wedding_id: str, *, request_key: str | None = None) -> Request:
    """Open an emergency: `kind` is weather, venue, vendor or technical. It starts within 200 ms."""
    fields = {"kind": kind, "wedding_id": wedding_id, "request_key": request_key}
    return actions.accept("emergencies.open", fields)


def find(request_key: str) -> Request | None:
    """Return what became of a request: its state is accepted, done or refused (with a reason)."""
    with database.transaction() as db:
        return store.find(db, request_key)
