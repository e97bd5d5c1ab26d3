"""Urgent messages of a wedding: sent, and who has them."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from workers.delivery.formats import Message, SendMessage, cap
from workers.delivery.usecases import reading, sending
from workers.foundation import clock
from workers.http.calls import Call, WeddingId, wedding
from workers.http.pages import Limit
from workers.http.writing import Writing, Written

router = APIRouter(prefix="/v1/weddings/{wedding_id}/messages", tags=["urgent messages"])

Reader = Annotated[Call, wedding("messages:read")]


class MessageBody(SendMessage):
    """An urgent message; the wedding is that of the path, the key that of Idempotency-Key."""

    wedding_id: str = ""
    request_key: None = None


class MessageView(BaseModel):
    """A message as its recipients get it (CAP 1.2), and how many of them are how far."""

    message: dict[str, Any]
    counts: dict[str, int]


class RecipientView(BaseModel):
    """How far a message got with somebody and when, and by which channels they were notified beside."""

    recipient: str
    state: str
    delivered_at: datetime | None
    displayed_at: datetime | None
    acknowledged_at: datetime | None
    channels: list[str]


class WhoHasIt(BaseModel):
    """A message and each of its recipients; `replaced_by` is what holds in its place."""

    message: dict[str, Any]
    recipients: list[RecipientView]
    replaced_by: str | None


@router.get("")
def listing(wedding_id: WeddingId, _call: Reader, limit: Limit = 20) -> list[MessageView]:
    """List a wedding's urgent messages, the newest first."""
    found = reading.of_wedding(wedding_id, limit=limit)
    return [MessageView(message=cap(one), counts=counts) for one, counts in found]


@router.post("", status_code=201, response_model=MessageView)
def send(
    wedding_id: WeddingId,
    body: MessageBody,
    call: Annotated[Call, wedding("messages:write")],
    write: Writing,
) -> Response:
    """Send an urgent message past all queues: when it is answered, it is written for each recipient."""
    key = f"{call.by}/{write.key}" if write.key else None
    fields = body.model_dump(mode="json") | {"wedding_id": wedding_id, "request_key": key}

    def _send(_db: Connection) -> Written:
        sent = sending.send(fields, sender=call.by, now=clock.now(), machine=clock.machine_now())
        return Written(MessageView(message=cap(sent), counts={}), wedding_id, 201)

    return write.do(call, _send)


@router.get("/{identifier}")
def show(wedding_id: WeddingId, identifier: str, _call: Reader) -> WhoHasIt:
    """Show who has a message of a wedding and who has not."""
    found = reading.show(identifier)
    if found.message.wedding_id != wedding_id:
        raise reading.MessageUnknown(identifier=identifier[:80])
    newest: Message = found.newest
    return WhoHasIt(
        message=cap(found.message),
        recipients=[
            RecipientView(
                **{name: getattr(one, name) for name in RecipientView.model_fields if name != "channels"},
                channels=[each.channel for each in found.contacts.get(one.recipient, ())],
            )
            for one in found.recipients
        ],
        replaced_by=newest.identifier if newest.id != found.message.id else None,
    )
