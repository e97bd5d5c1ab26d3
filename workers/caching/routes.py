"""What somebody needs on joining, as HTTP gives it."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response

from workers.caching.usecases import reading
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.connections.routes import Holder

router = APIRouter()


@router.get("/v1/joining")
def joining(permit: Holder) -> dict[str, Any]:
    """Return the wedding of a permit, what its holder may join, and a vendor's weddings of these days."""
    return asdict(reading.joining(permit))


def wedding(wedding_id: str, response: Response, permit: Permit) -> dict[str, Any]:
    """Return a wedding to one of its people; `Warning: 110` says that its source is unavailable."""
    permits.check_wedding(permit, wedding_id)
    found = reading.wedding(wedding_id)
    response.headers["ETag"] = f'"{found.revision}"'
    if found.stale:
        response.headers["Warning"] = '110 - "response is stale"'
    body: dict[str, Any] = found.value
    return body
