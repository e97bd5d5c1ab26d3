"""Who must get an urgent message, what became of it for each, and who is notified when. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import ID_PATTERN, Wedding, supplier_type


class Status(StrEnum):
    """How a message is meant (CAP 1.2, status). A test goes to sockets alone, and nobody waits for it."""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    TEST = "Test"


class MsgType(StrEnum):
    """What a message does to those that it references (CAP 1.2, msgType)."""

    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"


class State(StrEnum):
    """How far a message got with a recipient.

    `sent` is handed to a channel of theirs, `delivered` is proved to be on a device, `displayed` and
    `acknowledged` are what their application said.
    """

    PENDING = "pending"
    SENT = "sent"
    UNREACHABLE = "unreachable"
    DELIVERED = "delivered"
    DISPLAYED = "displayed"
    ACKNOWLEDGED = "acknowledged"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


#: What a receipt may say.
RECEIPTS = (State.SENT, State.DELIVERED, State.DISPLAYED, State.ACKNOWLEDGED)
#: With whom it has not arrived yet.
ON_ITS_WAY = (State.PENDING, State.SENT)
#: Who has it, and has not said so.
UNACKNOWLEDGED = (State.DELIVERED, State.DISPLAYED)


@dataclass(frozen=True)
class Policy:
    """Who has not got a message is notified by their other channels `contacts_after` it was sent.

    `names_after` that the planner gets their names, `operations_after` that operations. Each is for a moment
    that is `near` or nearer, and longer in proportion for one that is farther, `slowest` times at most. Who
    has it on a device and has not acknowledged it has `to_read` times as long. A caller may send
    `a_second` messages. With `rehearse` each wedding's suppliers are reached by an exercise a week and a day
    before, with `rehearse_in_season` those of weddings in regions in their peak season.
    """

    prefix: ClassVar = "DELIVERY_"

    contacts_after: timedelta = timedelta(seconds=5)
    names_after: timedelta = timedelta(seconds=10)
    operations_after: timedelta = timedelta(seconds=15)
    near: timedelta = timedelta(minutes=12)
    slowest: float = 60.0
    to_read: float = 12.0
    a_second: int = 200
    rehearse: bool = False
    rehearse_in_season: bool = True

    def __post_init__(self) -> None:
        """Refuse waits that would notify people of what is only on its way, or never."""
        for name in ("contacts_after", "names_after", "operations_after"):
            if not timedelta(seconds=1) <= getattr(self, name) <= timedelta(minutes=10):
                raise ValueError(f"{name} must be from 1s to 10min")
        if not timedelta(minutes=1) <= self.near <= timedelta(hours=12):
            raise ValueError("near must be from 1min to 12h")
        if not 1 <= self.slowest <= 1_000 or not 1 <= self.to_read <= 1_000:
            raise ValueError("slowest and to_read must be from 1 to 1000")
        if not 1 <= self.a_second <= 100_000:
            raise ValueError("a_second must be from 1 to 100000")

    @property
    def waits(self) -> tuple[timedelta, timedelta, timedelta]:
        """Return how long after the one before each step is due, near the moment."""
        return self.contacts_after, self.names_after, self.operations_after


class Step(StrEnum):
    """What is done about who has not got a message, in this order."""

    CONTACTS = "contacts"
    NAMES = "names"
    OPERATIONS = "operations"


STEPS = tuple(Step)


def pace(moment: Moment, policy: Policy, *, now: Moment) -> float:
    """Return how many times longer than near its moment everything may take: 1 or more."""
    return min(max(1.0, (moment - now) / policy.near), policy.slowest)


class Kind(StrEnum):
    """What a recipient is at a wedding."""

    SUPPLIER = "supplier"
    PLANNER = "planner"
    COUPLE = "couple"
    GUEST = "guest"


@dataclass(frozen=True, order=True)
class Recipient:
    """Somebody who must get a message: a supplier or a guest by id; the planner and the couple have none.

    All devices of one count as one: any of them proves that it arrived.
    """

    kind: Kind
    id: str = ""

    def __str__(self) -> str:
        """Return how rows, gateways and receipts name them: `supplier:s-1`, `planner` …"""
        return f"{self.kind}:{self.id}" if self.id else str(self.kind)

    @property
    def contact(self) -> str:
        """Return under which name contacts have their other channels; guests have none."""
        return "" if self.kind is Kind.GUEST else self.id or str(self.kind)


def recipient(text: str) -> Recipient:
    """Return a recipient by what rows call them."""
    kind, _, id = text.partition(":")
    return Recipient(Kind(kind), id)


def recipient_of(user_type: str, user_id: str, supplier_id: str | None) -> Recipient | None:
    """Return as whom somebody who is connected gets messages; None for a vendor of no supplier."""
    if user_type in (Kind.PLANNER, Kind.COUPLE):
        return Recipient(Kind(user_type))
    if user_type == Kind.GUEST:
        return Recipient(Kind.GUEST, user_id)
    return Recipient(Kind.SUPPLIER, supplier_id) if supplier_id else None


Id = Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
#: No control characters but line breaks and tabs: what is shown to people hides nothing.
TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"


class Audience(BaseModel):
    """Who of the wedding is meant: its suppliers, of some types or by id, planner, couple, and guests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suppliers: bool = True
    supplier_types: tuple[Id, ...] = Field(default=(), max_length=50)
    supplier_ids: tuple[Id, ...] = Field(default=(), max_length=500)
    planner: bool = True
    couple: bool = True
    guests: bool = Field(default=False, description="only when asked for: those who are online")


def strangers(wedding: Wedding, audience: Audience) -> list[str]:
    """Return what of an audience the wedding does not have: types and ids of suppliers."""
    types = {supplier_type(wedding, one) for one in wedding.supplier_ids}
    return sorted({*audience.supplier_types} - types) + sorted(
        {*audience.supplier_ids} - {*wedding.supplier_ids}
    )


def recipients(
    wedding: Wedding, audience: Audience, on_duty: Sequence[str], guests: Iterable[str] = ()
) -> list[Recipient]:
    """Return who must get a message; `on_duty` are the suppliers whose duty is not over."""
    narrowed = audience.supplier_types or audience.supplier_ids
    found = [
        Recipient(Kind.SUPPLIER, one)
        for one in on_duty
        if audience.suppliers
        and (
            not narrowed
            or one in audience.supplier_ids
            or supplier_type(wedding, one) in audience.supplier_types
        )
    ]
    found += [Recipient(Kind.PLANNER)] * audience.planner + [Recipient(Kind.COUPLE)] * audience.couple
    return found + [Recipient(Kind.GUEST, one) for one in guests if audience.guests]


@dataclass(frozen=True)
class Receipt:
    """What somebody of a wedding said of a message at a moment, in ms since 1970 by the server's clock."""

    wedding_id: str
    message: str
    recipient: str
    state: State
    at_ms: int


def merged(receipts: Iterable[Receipt]) -> dict[tuple[str, str, str], dict[State, int]]:
    """Return when each state was first reached, by (wedding, message, recipient).

    In whatever order receipts came, and how often: who acknowledged it has seen it, and had it.
    """
    found: dict[tuple[str, str, str], dict[State, int]] = {}
    for one in receipts:
        reached = found.setdefault((one.wedding_id, one.message, one.recipient), {})
        for state in RECEIPTS[: RECEIPTS.index(one.state) + 1]:
            reached[state] = min(one.at_ms, reached.get(state, one.at_ms))
    return found
