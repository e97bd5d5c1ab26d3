"""The gate, as HTTP asks for it: before a deployment."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query

from workers.foundation import clock
from workers.foundation.claims import EVERYTHING, claiming
from workers.weddings.formats import gate as formats
from workers.weddings.rules.gate import Change
from workers.weddings.usecases import gate

router = APIRouter()


@router.get("/v1/gate/{change}")
def ask(
    change: Change, region: str = "", minutes: Annotated[int, Query(ge=1, le=10_080)] = 30
) -> dict[str, Any]:
    """Say whether a change may be made now, in a region or in all, and when there are so many minutes."""
    # It tells how many weddings are near, and nothing of any of them.
    with claiming(EVERYTHING):
        found = gate.verdict(change, region, now=clock.now(), lasts=timedelta(minutes=minutes))
    return formats.plain(found, region)
