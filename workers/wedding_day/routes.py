"""Reports of moments, as HTTP brings them: from a wedding's own people, by their permit."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from workers.connections.formats import permits
from workers.connections.routes import Holder
from workers.foundation import clock, database
from workers.wedding_day.formats import ReportMoment, What
from workers.wedding_day.usecases import reporting
from workers.weddings.rules.calendar import NAME

router = APIRouter()


class ReportBody(BaseModel):
    """What happened, and when; without a moment somebody has arrived. The same key is taken once."""

    what: What
    moment: str = Field(default="", pattern=f"^({NAME.pattern})?$")
    at: AwareDatetime | None = None
    key: str | None = Field(default=None, max_length=200)


class ReportView(BaseModel):
    """What was taken; `is_new` is false for a key that was taken before."""

    moment: str
    what: What
    at: datetime
    is_new: bool


@router.post("/v1/weddings/{wedding_id}/reports")
def report(wedding_id: str, body: ReportBody, permit: Holder) -> ReportView:
    """Take a report of the permit's holder."""
    permits.check_wedding(permit, wedding_id)
    by = reporting.principal(permit)
    said = ReportMoment(wedding_id=wedding_id, what=body.what, moment=body.moment, by=by, at=body.at)
    with database.transaction() as db:
        taken = reporting.report(db, said, reporting.key_of(said, body.key), now=clock.now())
    return ReportView(**vars(taken))
