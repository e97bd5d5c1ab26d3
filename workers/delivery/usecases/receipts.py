"""Receipts of people who say by HTTP that they have a message."""

from workers.connections.formats.permits import Permit
from workers.delivery.rules import Receipt, State, recipient_of
from workers.delivery.usecases import publishing
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment
from workers.weddings.rules.calendar import ID


class ReceiptNotYours(ExpectedError):
    """no message {identifier!r} was sent to the holder of this permit; use the identifier of one that was"""

    http_status = 404


def take_one(identifier: str, permit: Permit, state: State, *, now: MachineMoment) -> str:
    """Take a receipt of a permit's holder; return how far the message is known to have got with them.

    Raises ReceiptNotYours.
    """
    who = recipient_of(permit.user_type, permit.user_id, permit.supplier_id)
    found = []
    if who and ID.fullmatch(identifier):
        one = Receipt(permit.wedding_id or "", identifier, str(who), state, int(now.timestamp() * 1000))
        found = publishing.take([one], channel=publishing.HTTP)
    if not found:
        raise ReceiptNotYours(identifier=identifier[:80])
    return found[0].state
