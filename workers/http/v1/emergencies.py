"""Emergencies with their steps, of a wedding and of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter

from workers.emergencies.rules import StepState
from workers.emergencies.usecases import reading
from workers.foundation.errors import ExpectedError
from workers.http.calls import Call, RowId, WeddingId, system, wedding
from workers.http.pages import Limit

router = APIRouter(prefix="/v1", tags=["emergencies"])
View = TypeVar("View")


class EmergencyOfAnother(ExpectedError):
    """{wedding_id} has no emergency {emergency_id}"""

    http_status = 404


@dataclass(frozen=True)
class StepView:
    """A step of a protocol: what is to be done by whom until when, and how far it is."""

    number: int
    what: str
    owner: str
    due_at: datetime
    state: StepState
    after: Sequence[int]
    mandatory: bool
    note: str
    settled_at: datetime | None


@dataclass(frozen=True)
class EmergencyView:
    """An emergency with its steps."""

    id: int
    kind: str
    wedding_id: str
    state: str
    opened_at: datetime
    closed_at: datetime | None
    protocol_version: int
    steps: Sequence[StepView]


@dataclass(frozen=True)
class ChangeView:
    """Something that happened in an emergency."""

    at: datetime
    what: str
    step: int | None
    by: str
    reason: str


@dataclass(frozen=True)
class HistoryView:
    """An emergency with its steps, and all that happened in it."""

    emergency: EmergencyView
    changes: Sequence[ChangeView]


def _view(found: object, steps: Sequence[object]) -> EmergencyView:
    facts = {name: getattr(found, name) for name in EmergencyView.__dataclass_fields__ if name != "steps"}
    return EmergencyView(**facts, steps=[_shown(StepView, one) for one in steps])


def _shown(kind: type[View], one: object) -> View:
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return kind(**{name: getattr(one, name) for name in names})


@router.get("/emergencies")
def listing(_call: Annotated[Call, system("emergencies:read")], limit: Limit = 50) -> list[EmergencyView]:
    """List the newest emergencies of all weddings."""
    return [_view(one, steps) for one, steps in reading.listed(limit=limit)]


@router.get("/weddings/{wedding_id}/emergencies")
def of_wedding(
    wedding_id: WeddingId, _call: Annotated[Call, wedding("emergencies:read")], limit: Limit = 50
) -> list[EmergencyView]:
    """List a wedding's emergencies, the newest first."""
    return [_view(one, steps) for one, steps in reading.listed(wedding_id, limit=limit)]


@router.get("/weddings/{wedding_id}/emergencies/{emergency_id}")
def show(
    wedding_id: WeddingId, emergency_id: RowId, _call: Annotated[Call, wedding("emergencies:read")]
) -> HistoryView:
    """Show an emergency of a wedding, and all that happened in it."""
    found = reading.show(emergency_id)
    if found.emergency.wedding_id != wedding_id:
        raise EmergencyOfAnother(wedding_id=wedding_id, emergency_id=emergency_id)
    changes = [_shown(ChangeView, one) for one in found.changes]
    return HistoryView(_view(found.emergency, found.steps), changes)
