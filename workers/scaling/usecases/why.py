"""Why an action was taken, from what its row keeps and what people had ordered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from workers.foundation.errors import ExpectedError
from workers.scaling.rules.actions import Action
from workers.scaling.rules.decision import Reading
from workers.scaling.rules.orders import Order
from workers.scaling.rules.policy import Policy
from workers.scaling.rules.why import Why, explain
from workers.scaling.store import actions as store
from workers.scaling.store import inputs, orders


class ActionUnknown(ExpectedError):
    """there is no action {id}; `wedops scaling actions` lists them"""

    http_status = 404


@dataclass(frozen=True)
class Account:
    """An action with all that its decision went by.

    `made_from` is what its row keeps; `reading`, `policy` and `why` are None for one of a version that kept
    less.
    """

    action: Action
    made_from: Mapping[str, Any]
    orders: list[Order]
    reading: Reading | None = None
    policy: Policy | None = None
    why: Why | None = None


def account(db: Connection, id: int) -> Account:
    """Return why an action was taken. Raises ActionUnknown."""
    found = store.find(db, id)
    if found is None:
        raise ActionUnknown(id=id)
    action, kept = found
    at = action.created_at
    ordered = [
        one
        for one in orders.given(db, action.region, since=at, until=at + timedelta(microseconds=1))
        if one.holds(at)
    ]
    kept = inputs.in_words_of_now(kept)
    if (made_from := inputs.read(kept)) is None:
        return Account(action, kept, ordered)
    reading, policy = made_from
    return Account(action, kept, ordered, reading, policy, explain(reading, policy, now=at))
