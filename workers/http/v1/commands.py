"""What is asked and done by workers: warm-ups, emergencies that are opened; and what became of each."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from workers.caching.formats.commands import WarmUp
from workers.commands.rules.requests import Request
from workers.commands.usecases import commands
from workers.emergencies.formats import OpenEmergency
from workers.emergencies.rules import EmergencyKind
from workers.foundation.errors import ExpectedError
from workers.http.calls import Call, WeddingId, wedding, weddings
from workers.http.writing import Write, Writing, Written

router = APIRouter(prefix="/v1", tags=["requests"])


class RequestUnknown(ExpectedError):
    """nothing was asked for under {key!r}"""

    http_status = 404


class RequestView(BaseModel):
    """What was asked and what became of it: accepted, done or refused, and why."""

    key: str
    task: str
    state: str
    reason: str | None
    effect: str | None
    wedding_id: str | None

    @classmethod
    def of(cls, one: Request) -> "RequestView":
        """Return how it is shown."""
        facts = {name: getattr(one, name) for name in ("key", "task", "state", "reason", "effect")}
        return cls(**facts, wedding_id=one.message.get("wedding_id"))


class Kind(BaseModel):
    """Which emergency it is."""

    kind: EmergencyKind = Field(examples=["weather"])


def _accept(call: Call, write: Write, task: str, wedding_id: str, **fields: Any) -> Response:
    """Take a command: when this is answered, it will be done, whatever fails."""
    key = f"{call.by}/{write.key}" if write.key else None

    def _ask(_db: object) -> Written:
        asked = {"wedding_id": wedding_id, "request_key": key, **fields}
        found = commands.accept(task, asked, caller=call.by)
        return Written(RequestView.of(found), wedding_id, 202)

    return write.do(call, _ask)


@router.post("/weddings/{wedding_id}/warm-ups", status_code=202, response_model=RequestView)
def warm_up(
    wedding_id: WeddingId, call: Annotated[Call, wedding("warm_ups:write")], write: Writing
) -> Response:
    """Have a wedding's data in the cache before its people come."""
    return _accept(call, write, WarmUp.task, wedding_id)


@router.post("/weddings/{wedding_id}/emergencies", status_code=202, response_model=RequestView)
def open_emergency(
    wedding_id: WeddingId, body: Kind, call: Annotated[Call, wedding("emergencies:write")], write: Writing
) -> Response:
    """Open an emergency of a wedding: its protocol starts within 200 ms."""
    return _accept(call, write, OpenEmergency.task, wedding_id, kind=str(body.kind))


@router.get("/requests/{key:path}")
def show(
    key: Annotated[str, Path(max_length=300)], _call: Annotated[Call, weddings("requests:read")]
) -> RequestView:
    """Show what became of a request, by its key."""
    if (found := commands.find(key)) is None:
        raise RequestUnknown(key=key[:200])
    return RequestView.of(found)
