"""A wedding's timeline: shown, changed alone, and as it was in each version."""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from workers.foundation import clock
from workers.http.calls import Call, WeddingId, wedding
from workers.http.writing import Expected, Writing, Written, etag
from workers.weddings.formats import timeline as formats
from workers.weddings.usecases import timelines

router = APIRouter(prefix="/v1/weddings/{wedding_id}/timeline", tags=["weddings"])

Reader = Annotated[Call, wedding("weddings:read")]


class TimelineView(BaseModel):
    """A timeline's moments, in the order in which they can be, and what cannot be as it is planned."""

    wedding_id: str
    version: int
    moments: list[dict[str, Any]]
    conflicts: list[str]


@router.get("")
def show(wedding_id: WeddingId, response: Response, _call: Reader) -> TimelineView:
    """Show a wedding's timeline."""
    found = _view(wedding_id)
    response.headers["ETag"] = etag(found.version)
    return found


@router.get("/versions")
def versions(wedding_id: WeddingId, _call: Reader) -> list[TimelineView]:
    """Show a wedding's timelines as they were, the newest first, as far as they were kept."""
    return [
        TimelineView(
            wedding_id=wedding_id, version=one.version, moments=formats.document(moments), conflicts=[]
        )
        for one, moments in timelines.versions(wedding_id)
    ]


@router.put("", response_model=TimelineView)
def change(
    wedding_id: WeddingId,
    body: list[dict[str, Any]] | dict[str, Any],
    call: Annotated[Call, wedding("weddings:write")],
    write: Writing,
    expected: Expected,
) -> Response:
    """Give a wedding another timeline: a list of moments, or names with local times."""

    def _change(db: Connection) -> Written:
        now = clock.now()
        version = timelines.change(db, wedding_id, body, by=call.by, expected=expected, now=now)
        later = (lambda: timelines.changed(wedding_id, now=now)) if version != expected else None
        return Written(_view(wedding_id), wedding_id, etag=version, later=later)

    return write.do(call, _change)


def _view(wedding_id: str) -> TimelineView:
    found = timelines.show(wedding_id)
    return TimelineView(
        wedding_id=wedding_id,
        version=found.version,
        moments=formats.document(found.moments),
        conflicts=found.conflicts,
    )
