"""An action, as it is decided and as it is kept. Pure."""

from collections.abc import Mapping, Sequence
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
#: In these the real thing has what an action wants.
TAKES_EFFECT = (State.APPLIED, State.CONFIRMED)


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


def instance_hours(used: Sequence[Action], start: datetime, end: datetime) -> float | None:
    """Return the hours that instances ran in [start, end), by actions in the order of time.

    Before the first action there were those that it found; None where nothing ever acted.
    """
    own = [one for one in used if one.state in TAKES_EFFECT]
    if not own:
        return None
    hours, at, has = 0.0, start, own[0].before
    for one in own:
        until = max(start, min(end, one.created_at))
        hours, at, has = hours + has * (until - at).total_seconds() / 3600, until, one.to
    return hours + has * (end - at).total_seconds() / 3600
