"""An urgent message as it is asked for, and as its recipients get it: the fields of CAP 1.2 as JSON."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, ClassVar

import orjson
from pydantic import AwareDatetime, Field

from workers.commands.rules.contract import WeddingCommand, register
from workers.delivery.rules import TEXT, Audience, Id, MsgType, Status
from workers.foundation.moments import Moment
from workers.journal.rules import Event
from workers.outbox.rules import Lane
from workers.weddings.rules.calendar import ID

#: What the broadcast of a message is called, and that of a receipt.
EVENT, RECEIPT = "urgent", "urgent_receipt"
#: The form of a body.
VERSION = 1


@register
class SendMessage(WeddingCommand):
    """delivery.send: send an urgent message to the people of a wedding, with a receipt of each."""

    task = "delivery.send"
    lane = Lane.EMERGENCY

    headline: str = Field(min_length=1, max_length=160, pattern=TEXT)
    body: str = Field(default="", max_length=4_000, pattern=TEXT)
    audience: Audience = Audience()
    status: Status = Status.ACTUAL
    msg_type: MsgType = MsgType.ALERT
    references: tuple[Id, ...] = Field(
        default=(), max_length=20, description="identifiers of messages that this one takes the place of"
    )
    moment: str = Field(
        default="", max_length=80, pattern=TEXT, description="the moment of the timeline that changes"
    )
    moment_at: datetime | None = Field(
        default=None, description="when it is now: local wall time of the wedding, without an offset"
    )
    expires: AwareDatetime | None = Field(default=None, description="absent: when the wedding is over")


def identifier(key: str) -> str:
    """Return what a message is called that was asked for under a key."""
    return key if ID.fullmatch(key) else blake2b(key.encode(), digest_size=16).hexdigest()


def body(asked: SendMessage) -> dict[str, Any]:
    """Return what the row of a message keeps of what was asked for, of form VERSION."""
    fields = ("headline", "body", "audience", "references", "moment", "moment_at")
    own = asked.model_dump(mode="json", include=set(fields))
    return {"version": VERSION, **own}


@dataclass(frozen=True)
class Message:
    """A message as its row has it."""

    id: int
    identifier: str
    wedding_id: str
    thread: str
    revision: int
    sender: str
    status: str
    msg_type: str
    body: dict[str, Any]
    pace: float
    sent_at: Moment
    expires_at: Moment


def cap(message: Message) -> dict[str, Any]:
    """Return a message as its recipients get it.

    Of a `thread` the highest `revision` holds: who has it shows no lower one.
    """
    own = {name: value for name, value in message.body.items() if name != "version"}
    return {
        "identifier": message.identifier,
        "sender": message.sender,
        "sent": message.sent_at.isoformat(),
        "status": message.status,
        "msg_type": message.msg_type,
        "wedding_id": message.wedding_id,
        "thread": message.thread,
        "revision": message.revision,
        "expires": message.expires_at.isoformat(),
        **own,
    }


def wire(message: Message, to: list[str]) -> bytes:
    """Return what gateways get: the message, and for whom."""
    return orjson.dumps({"to": to, "message": cap(message)})


@dataclass(frozen=True)
class MessageSent(Event):
    """An urgent message was sent."""

    name: ClassVar = "delivery.message_sent"

    identifier: str
    wedding_id: str
    status: str
    msg_type: str
    sender: str
    recipients: int


@dataclass(frozen=True)
class RecipientUnreachable(Event):
    """Nothing shows that a message reached somebody, by any of their channels."""

    name: ClassVar = "delivery.recipient_unreachable"

    identifier: str
    wedding_id: str
    recipient: str
