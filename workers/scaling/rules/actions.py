"""An action, as it is decided and as it is kept. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workers.foundation.moments import Moment
from workers.scaling.rules.decision import Purpose, State
from workers.scaling.rules.policy import Resource

#: Who decides when no person does.
SCHEDULE = "schedule"
#: Why a proposal has ended that somebody rejected.
REJECTED = "rejected"


@dataclass(frozen=True)
class Action:
    """An action as it was written; `to` is what there should be since then."""

    id: int
    region: str
    resource: Resource
    before: int
    to: int
    reason: str
    state: State
    created_at: Moment
    requested_by: str
    purpose: Purpose = Purpose.ACT
    attempts: int = 0
    problem: str | None = None
    until: datetime | None = None
    settled_by: str | None = None
    settled_at: datetime | None = None
    applied_at: datetime | None = None
    confirmed_at: datetime | None = None


@dataclass(frozen=True)
class Decided:
    """An action to be written.

    `expected_previous_id` is what must still be the newest of its resource, 0 for the first.
    """

    region: str
    resource: str
    before: int
    to: int
    reason: str
    inputs: Mapping[str, Any]
    requested_by: str
    at: Moment
    expected_previous_id: int = 0
    purpose: Purpose = Purpose.ACT
