"""The calendar: weddings by themselves, in bulk, from a file."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, SecurityScopes
from pydantic import AwareDatetime, BaseModel, Field, WithJsonSchema
from sqlalchemy import Connection

from workers.access.usecases import callers
from workers.caching import routes as caching
from workers.connections.formats.permits import Permit
from workers.connections.routes import holder
from workers.foundation import clock
from workers.http import pages
from workers.http.calls import BEARER, Call, WeddingId, identified, of_wedding, system, weddings
from workers.http.pages import Cursor, Limit, Page
from workers.http.v1.models import BulkView, Follows, TakenView, WeddingBody, WeddingView, row_of
from workers.http.writing import Expected, RawBody, Writing, Written, etag
from workers.weddings.formats import file
from workers.weddings.formats.rows import Reading
from workers.weddings.rules.calendar import ID, NAME, Status
from workers.weddings.rules.listing import Asked
from workers.weddings.usecases import changing, importing, reading
from workers.weddings.usecases.changing import ROWS_MAX, Outcome, Taken

router = APIRouter(prefix="/v1", tags=["weddings"])

Writers = Annotated[Call, weddings("weddings:write")]
_ROWS = {"type": "array", "maxItems": ROWS_MAX, "items": {"$ref": "#/components/schemas/WeddingBody"}}
_FILE = {"requestBody": {"required": True, "content": {"text/csv": {}, "text/calendar": {}}}}
From = Annotated[AwareDatetime | None, Query(alias="from", description="by default now")]
To = Annotated[AwareDatetime | None, Query(alias="to", description="by default a year after `from`")]


@router.get("/weddings")
def page(
    _call: Annotated[Call, weddings("weddings:read")],
    begins: From = None,
    ends: To = None,
    region: Annotated[str, Query(pattern=f"^({NAME.pattern})?$")] = "",
    supplier: Annotated[str, Query(pattern=f"^({ID.pattern})?$")] = "",
    status: Status | None = None,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[WeddingView]:
    """List the weddings that overlap a span, by start."""
    now = clock.now()
    start = begins or now
    last = ends or start + min(timedelta(days=366), datetime.max.replace(tzinfo=UTC) - start)
    asked = Asked(start, last, region, supplier, status or "")
    rows = reading.page(asked, after=_place(cursor), limit=limit)
    return pages.page(
        rows,
        limit,
        lambda row: WeddingView.of(*row, now=now),
        lambda row: (row[0].starts_at.isoformat(), row[0].id),
    )


def _place(cursor: str) -> tuple[datetime, str] | None:
    if (found := pages.after(cursor, str, str)) is None:
        return None
    try:
        place = datetime.fromisoformat(found[0])
    except ValueError as error:
        raise pages.CursorInvalid from error
    if place.tzinfo is None or not ID.fullmatch(found[1]):
        raise pages.CursorInvalid
    return place, found[1]


class Bulk(BaseModel):
    """Rows, each of which is taken or refused by itself."""

    weddings: Annotated[list[Any], Field(max_length=ROWS_MAX), WithJsonSchema(_ROWS)]


@router.post("/weddings", response_model=BulkView)
def bulk(body: Bulk, call: Writers, write: Writing) -> Response:
    """Bring up to 500 weddings to what is sent, each with a result of its own."""
    rows = [row_of(one) for one in body.weddings]
    return write.do(call, lambda db: _taken(changing.take(db, rows, by=call.by, now=clock.now())))


def _taken(results: Sequence[Taken], **facts: Any) -> Written:
    body = BulkView(results=[TakenView.of(one) for one in results], follows=Follows.of(results))
    ids = [one.id for one in results if one.outcome in (Outcome.ADDED, Outcome.CHANGED)]
    return Written(body, later=(lambda: importing.wake(ids, now=clock.now())) if ids else None, **facts)


class Imported(BaseModel):
    """What a file held, or with `dry_run` would change; `refused` says what was not taken, and why."""

    added: int
    changed: int
    unchanged: int
    refused: list[str]
    notes: list[str]


@router.post("/weddings/import", response_model=Imported, openapi_extra=_FILE)
def import_file(
    body: RawBody, call: Annotated[Call, system("weddings:write")], write: Writing, *, dry_run: bool = False
) -> Response:
    """Bring the calendar to a file, CSV or iCalendar: what of it can be read, all or nothing of that."""
    reading = file.read("", body)
    if dry_run:
        found = importing.preview(reading)
        counts = len(found.added), len(found.changed), len(reading.weddings) - len(found.new)
        return write.answer(_imported(counts, reading))

    def _bring(db: Connection) -> Written:
        change = importing.bring(db, reading, by=call.by, now=clock.now())
        counts = change.added, change.changed, change.unchanged
        later = (lambda: importing.wake(change.written, now=clock.now())) if change.written else None
        return Written(_imported(counts, reading), "calendar", later=later)

    return write.do(call, _bring)


def _imported(counts: tuple[int, int, int], found: Reading) -> Imported:
    return Imported(
        added=counts[0],
        changed=counts[1],
        unchanged=counts[2],
        refused=found.refused,
        notes=[*found.remarks, *found.notes],
    )


async def _somebody(
    wedding_id: WeddingId,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
    request: Request,
) -> Permit | None:
    """Return the permit of one of a wedding's people; None for a caller, who may see it."""
    token = given.credentials if given else ""
    if not callers.is_one(token):
        return await holder(f"Bearer {token}")
    needed = SecurityScopes(["weddings:read"])
    await of_wedding(await identified(needed, request, given), wedding_id)
    return None


@router.get("/weddings/{wedding_id}")
def show(
    wedding_id: WeddingId, response: Response, permit: Annotated[Permit | None, Depends(_somebody)]
) -> WeddingView | dict[str, Any]:
    """Show a wedding: to one of its people, by their permit, as their gateway has it cached."""
    if permit is not None:
        return caching.wedding(wedding_id, response, permit)
    found, version = reading.with_version(wedding_id)
    response.headers["ETag"] = etag(version)
    return WeddingView.of(found, version, now=clock.now())


@router.put("/weddings/{wedding_id}", response_model=BulkView)
def put(
    wedding_id: WeddingId, body: WeddingBody, call: Writers, write: Writing, expected: Expected
) -> Response:
    """Bring one wedding to what is sent: `If-Match` has its ETag, or "0" for one that must be new."""
    if body.id != wedding_id:
        raise changing.WeddingRefused(problem="id: differs from that of the path; send the same")

    def _put(db: Connection) -> Written:
        taken = changing.put(db, body.row(), expected=expected, by=call.by, now=clock.now())
        status = 201 if taken.outcome is Outcome.ADDED else 200
        return _taken([taken], etag=taken.version, subject=wedding_id, status=status)

    return write.do(call, _put)
