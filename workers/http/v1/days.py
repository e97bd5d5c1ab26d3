"""A wedding's day: who is online, whether all is ready, how it goes, in which mode it is."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel

from workers.connections.usecases import users
from workers.foundation import clock
from workers.http.calls import Call, WeddingId, wedding
from workers.wedding_day.rules.readiness import Check
from workers.wedding_day.usecases import modes, readiness, showing

router = APIRouter(prefix="/v1/weddings/{wedding_id}", tags=["the day"])

Reader = Annotated[Call, wedding("weddings:read")]


class ReadyView(BaseModel):
    """A go / no-go list: whether all is ready, and of each item the evidence."""

    wedding_id: str
    is_ready: bool
    checks: list[Check]


@router.get("/readiness")
def ready(wedding_id: WeddingId, _call: Reader) -> ReadyView:
    """Show whether a wedding's day can begin."""
    found = readiness.of(wedding_id, now=clock.now())
    return ReadyView(wedding_id=wedding_id, is_ready=found.is_ready, checks=list(found.checks))


class ModeView(BaseModel):
    """A wedding's mode, that which the calendar says, and who holds another one."""

    wedding_id: str
    mode: str
    by_calendar: str
    held_by: str | None


@router.get("/mode")
def mode(wedding_id: WeddingId, _call: Reader) -> ModeView:
    """Show in which mode a wedding is."""
    found = modes.show(wedding_id, now=clock.now())
    held = found.hold.by if found.hold else None
    return ModeView(wedding_id=wedding_id, mode=found.mode, by_calendar=found.by_calendar, held_by=held)


@router.get("/day")
def day(wedding_id: WeddingId, _call: Reader) -> dict[str, Any]:
    """Show how a wedding's day goes: when every moment to come will start, and who arrived."""
    found = showing.show(wedding_id, now=clock.now())
    lines = [vars(one) for one in found.lines]
    return {"lines": lines, "bottleneck": found.bottleneck, "arrived": list(found.arrived)}


class PresenceView(BaseModel):
    """Who of a wedding is online, how good their connections are, and of each supplier how many."""

    online: Mapping[str, Any]
    quality: float | None
    suppliers: Mapping[str, tuple[int, int]]


@router.get("/presence")
def presence(wedding_id: WeddingId, _call: Annotated[Call, wedding("connections:read")]) -> PresenceView:
    """Show who of a wedding is online."""
    found = users.presence(wedding_id)
    return PresenceView(online=vars(found.online), quality=found.quality, suppliers=found.suppliers)
