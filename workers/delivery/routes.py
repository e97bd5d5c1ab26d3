"""Receipts of urgent messages, as HTTP brings them: from who has no gateway of ours between."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from workers.connections.routes import Holder
from workers.delivery.rules import State
from workers.delivery.usecases import receipts
from workers.foundation import clock

router = APIRouter()


class ReceiptBody(BaseModel):
    """How far a message got."""

    state: Literal["delivered", "displayed", "acknowledged"]


@router.post("/v1/messages/{identifier}/receipts")
def receipt(identifier: str, body: ReceiptBody, permit: Holder) -> dict[str, str]:
    """Take the receipt of the permit's holder; answer how far the message is known to have got with them."""
    return {"state": receipts.take_one(identifier, permit, State(body.state), now=clock.machine_now())}
